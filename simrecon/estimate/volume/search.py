"""Where the fundamental of a direction is, and which order its strongest peak belongs to.

Frames of one direction differ by the moving pattern alone; the correlation of their contrasts with
the widefield volume, summed over the planes, peaks at every order's carrier whatever the steps are.
Planes with much contrast weigh more, as the product of two filtered images. Which order a peak is,
is not told by its place: both readings are tried, and the overlaps of *all* orders in the sum over
the planes (kz = 0) say which one the data agree with.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from simrecon.estimate.frequency import CarrierPeak, CarrierSearch, SearchRegion, contrasts
from simrecon.estimate.phase import phases_from_carrier
from simrecon.estimate.volume.agreement import agreement
from simrecon.estimate.volume.field import VolumeField
from simrecon.estimate.volume.kernels import Kernels
from simrecon.estimate.volume.rows import Rows
from simrecon.estimate.volume.state import VolumeState
from simrecon.estimate.volume.weights import Weights
from simrecon.model.psf import VolumeOTF

RING = (0.12, 1.15)
"""Carriers of any order, in units of the lateral cut-off."""
TOLERANCE, TOLERANCE_RAD = 0.12, 0.12
"""Relative half-width about an expected frequency, and half-width about an expected angle."""
CANDIDATES = 10
LEAST = 0.25
"""Peaks are tried down to this fraction of the highest."""
MAX_OVER_CUTOFF = 1.4
LEAST_OVER_CUTOFF = 0.1
START_MODULATION = 0.5
MAX_CONDITION = 40.0


class PlaneSum(CarrierSearch):
    """The correlation of one direction summed over its planes.

    Parameters
    ----------
    frames : ndarray (P, Z, Y, X), float32
    field : VolumeField
    cutoff_per_um : float
    """

    def __init__(self, frames: np.ndarray, field: VolumeField, cutoff_per_um: float) -> None:
        self._planes = field.window.transform(frames)
        super().__init__(self._planes.mean(axis=1)[None], field.window, cutoff_per_um)

    def correlation_images(self, direction: int) -> np.ndarray:
        """Widefield times contrasts, summed over the planes, (P−1, KY, KX) float32."""
        planes = self._planes
        slope = self.regression(direction)[:, None, None].astype(np.float32)
        rows = contrasts(planes.shape[0]).astype(np.float32)
        # one filter for all planes: those with much contrast then count for more
        total: np.ndarray | float = 0.0
        for z in range(planes.shape[1]):
            wide = planes[:, z].mean(axis=0)
            difference = planes[:, z] - slope * wide
            components = self._filtered(np.tensordot(rows, difference, axes=1)).real
            total = total + components * self._filtered(wide[None])[0].real
        return np.asarray(total, dtype=np.float32)


@dataclass(frozen=True)
class Reading:
    """A peak read as the carrier of one order.

    Attributes
    ----------
    state : VolumeState
    nats : float
        Evidence of all orders together.
    peak : CarrierPeak
    order : int
        The order that the peak is taken for.
    """

    state: VolumeState
    nats: float
    peak: CarrierPeak
    order: int


@dataclass(frozen=True)
class VolumeFound:
    """Readings of one direction, the likeliest first.

    Attributes
    ----------
    readings : tuple of Reading
    """

    readings: tuple[Reading, ...]

    @property
    def best(self) -> Reading:
        """The likeliest."""
        return self.readings[0]

    @property
    def rivalry(self) -> float:
        """Evidence of the best reading with another fundamental over that of the chosen one."""
        here = self.best.state.frequency_per_um
        size = float(np.hypot(*here))
        away = [
            r.nats
            for r in self.readings[1:]
            if min(np.hypot(*(r.state.frequency_per_um - s * here)) for s in (1, -1)) > 0.03 * size
        ]
        return max(away, default=0.0) / max(self.best.nats, 1e-30)


def find_fundamental(
    frames: np.ndarray,
    variance_e2: np.ndarray,
    field: VolumeField,
    projected: VolumeField,
    otfs: Sequence[VolumeOTF],
    orders: int,
    *,
    expected_per_um: float | None = None,
    angle_rad: float | None = None,
    phase_step_um: float | None = None,
) -> VolumeFound:
    """The fundamental of one direction.

    Parameters
    ----------
    frames, variance_e2 : ndarray (P, Z, Y, X), float32
    field, projected : VolumeField
        Of the volume, and of its sum over the planes.
    otfs : sequence of VolumeOTF
        Those that the light may have (a sheet at several distances); the likeliest is told.
    orders : int
        M.
    expected_per_um : float, optional
        Fundamental frequency, ±12 %.
    angle_rad : float, optional
        Direction atan2(fy, fx), modulo π, ±0.12.
    phase_step_um : float, optional
        Distance by which the pattern moves from frame to frame; None: even steps of a period.
    """
    search = PlaneSum(frames, field, otfs[0].cutoff_per_um)
    peaks = _peaks(search, otfs[0].cutoff_per_um, orders, expected_per_um, angle_rad)
    return _readings(search, peaks, frames, variance_e2, projected, otfs, orders, phase_step_um)


def fundamental_at(
    frames: np.ndarray,
    variance_e2: np.ndarray,
    field: VolumeField,
    projected: VolumeField,
    otfs: Sequence[VolumeOTF],
    orders: int,
    frequency_per_um: Sequence[float],
    *,
    phase_step_um: float | None = None,
) -> VolumeFound:
    """The direction at a fundamental [fy, fx] that is known: only phases are looked for."""
    search = PlaneSum(frames, field, otfs[0].cutoff_per_um)
    fy, fx = (float(f) for f in frequency_per_um)
    peaks = [(search.at(0, (m * fy, m * fx)), m) for m in range(1, orders + 1)]
    return _readings(search, peaks, frames, variance_e2, projected, otfs, orders, phase_step_um)


def _readings(
    search: PlaneSum,
    peaks: Sequence[tuple[CarrierPeak, int]],
    frames: np.ndarray,
    variance_e2: np.ndarray,
    projected: VolumeField,
    otfs: Sequence[VolumeOTF],
    orders: int,
    phase_step_um: float | None,
) -> VolumeFound:
    """Evidence for every peak, order and set of phases."""
    intensity = search.regression(0)
    intensity = np.maximum(intensity / intensity.mean(), 1e-3)
    sums = frames.sum(axis=1, keepdims=True)
    noise = variance_e2.sum(axis=1, keepdims=True)
    readings: list[Reading] = []
    for peak, order in peaks:
        frequency = np.array(peak.frequency_per_um) / order
        contrast = np.full(orders, START_MODULATION)
        states = [
            VolumeState(frequency, phase, intensity, contrast)
            for phase in _phases(search, peak, order, phase_step_um)
        ]
        states = [s for s in states if np.linalg.cond(s.mixing()) < MAX_CONDITION]
        if not states:
            continue
        rows = Rows.of(sums, noise, projected, states[0])
        possible = [Kernels.of(otf, projected, states[0]) for otf in otfs]
        for kernels, state in product(possible, states):
            weights = Weights.frozen(rows, kernels, projected, state)
            found = [agreement(weights, state, m) for m in range(1, orders + 1)]
            # an order that is turned by more than a right angle speaks against the reading
            nats = sum(a.nats * np.sign(a.ratio.real) for a in found)
            readings.append(Reading(state, float(nats), peak, order))
    readings.sort(key=lambda r: r.nats, reverse=True)
    return VolumeFound(tuple(readings))


def _peaks(
    search: PlaneSum,
    cutoff_per_um: float,
    orders: int,
    expected_per_um: float | None,
    angle_rad: float | None,
) -> list[tuple[CarrierPeak, int]]:
    """Peaks with the orders that they may be."""
    found: list[tuple[CarrierPeak, int]] = []
    if expected_per_um is not None:
        for order in range(1, orders + 1):
            middle = order * expected_per_um
            low, high = (1 - TOLERANCE) * middle, (1 + TOLERANCE) * middle
            region = SearchRegion(low, high, angle_rad, TOLERANCE_RAD)
            found += [(p, order) for p in search.peaks(0, region, 4, LEAST)]
    else:
        low, high = (factor * cutoff_per_um for factor in RING)
        region = SearchRegion(low, high, angle_rad, TOLERANCE_RAD)
        for peak in search.peaks(0, region, CANDIDATES, LEAST):
            found += [(peak, order) for order in range(1, orders + 1)]
    usable = []
    for peak, order in found:
        size = float(np.hypot(*peak.frequency_per_um)) / order
        inside = LEAST_OVER_CUTOFF * cutoff_per_um <= size
        if inside and orders * size <= MAX_OVER_CUTOFF * cutoff_per_um:
            usable.append((peak, order))
    return usable


def _phases(
    search: PlaneSum, peak: CarrierPeak, order: int, phase_step_um: float | None
) -> list[np.ndarray]:
    """Phases of the fundamental that the coefficients of an order's peak allow."""
    v = peak.coefficients
    turns = 1.0 / v.size
    if phase_step_um is not None:
        turns = phase_step_um * float(np.hypot(*peak.frequency_per_um)) / order
    steps = 2 * np.pi * turns * np.arange(v.size)
    options = []
    measured = phases_from_carrier(v)
    for sense in (1, -1):
        start = float(np.angle(np.sum(v * np.exp(-1j * order * sense * steps)))) / order
        for turn in range(order):
            even = start + 2 * np.pi * turn / order + sense * steps
            options.append(even)
            # the measured phases, each turned by the multiple of 2π/order nearest to even steps
            off = (measured / order - even) / (2 * np.pi / order)
            options.append(measured / order - np.round(off) * 2 * np.pi / order)
    if order > 1:
        frequency = (peak.frequency_per_um[0] / order, peak.frequency_per_um[1] / order)
        options.append(phases_from_carrier(search.at(0, frequency).coefficients))
    return options

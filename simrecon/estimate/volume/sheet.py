"""Distance of a light sheet from the focal plane, from how well the bands agree.

Order m of the frames is the object seen through ``h(z) g_m(z − δ)`` (physics.md §2). Profiles of
the orders differ, so that with a wrong δ no object explains all bands: what the form leaves
(:mod:`.form`), less its expectation from noise, has its minimum at the true δ, contrasts and
phases being free. The sign of order 1 changes with δ as it does with half a period of the pattern:
phases are tried both ways. Shi, Daugird & Legant, Nat. Commun. 15, 1768 (2024) read the offset of
such data from the same overlap.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from simrecon.estimate.volume.field import VolumeField
from simrecon.estimate.volume.fit import refit, rescaled
from simrecon.estimate.volume.form import Form
from simrecon.estimate.volume.kernels import Kernels
from simrecon.estimate.volume.rows import Rows
from simrecon.estimate.volume.state import VolumeState
from simrecon.model.psf import VolumeOTF

OTFAt = Callable[[float], VolumeOTF]
"""OTFs of all orders with the sheet at a distance δ, µm."""
REACH_UM, SCAN_STEP_UM = 0.96, 0.12
"""Distances that are tried; with a fringe of 0.8 µm along z the minimum is ±0.2 µm wide."""
SEARCHED_UM = (0.0, -0.3, 0.3, -0.6, 0.6, -0.9, 0.9)
"""Distances with which the carrier is looked for in the sum over the planes."""
SCAN_SAMPLES, GROUP_SAMPLES, GROUPS = 100, 100, 8
"""Lateral frequencies of the scan, and of the groups whose own minima tell the error."""
STEPS_UM = (0.06, 0.03)
"""Half-widths of the parabolas that lead from the scan to the minimum."""


@dataclass(frozen=True)
class SheetOffset:
    """Where the sheet is.

    Attributes
    ----------
    offset_um, sd_um : float
        Distance from the focal plane, positive deeper, and its standard deviation, from the scatter
        between groups of lateral frequencies; infinite where these do not tell a distance.
    state : VolumeState
        The direction with this sheet, a start for its fit.
    """

    offset_um: float
    sd_um: float
    state: VolumeState


def find_offset(
    frames: np.ndarray,
    variance_e2: np.ndarray,
    field: VolumeField,
    otf_at: OTFAt,
    start: VolumeState,
    *,
    known_um: float | None = None,
    fit_frequency: bool = True,
) -> SheetOffset:
    """Distance of the sheet, within ±`REACH_UM`, and the phases that go with it.

    Parameters
    ----------
    frames, variance_e2 : ndarray (P, Z, Y, X), float32
    field : VolumeField
    otf_at : callable
    start : VolumeState
        Frequency and phases as the search found them.
    known_um : float, optional
        The distance, where it is known: then only phases are found (sd 0).
    fit_frequency : bool
        False keeps the frequency.
    """
    rows = Rows.of(frames, variance_e2, field, start)
    order = np.random.default_rng(0).permutation(field.index.size)
    scanned = _Part.of(rows, field, order[:SCAN_SAMPLES], fit_frequency)
    groups = [
        _Part.of(rows, field, order[i::GROUPS][:GROUP_SAMPLES], fit_frequency)
        for i in range(min(GROUPS, order.size))
    ]
    every = _Part.of(rows, field, np.concatenate([g.samples for g in groups]), fit_frequency)
    count = round(REACH_UM / SCAN_STEP_UM)
    raster = [n * SCAN_STEP_UM for n in range(-count, count + 1)]
    offset, state = _scan(scanned, otf_at, start, raster if known_um is None else [known_um])
    if known_um is not None:
        return SheetOffset(known_um, 0.0, state)
    spread = np.zeros(0)
    for step in STEPS_UM:
        places = offset + step * np.array([-1.0, 0.0, 1.0])
        otfs = [otf_at(float(d)) for d in places]
        _, state = every.fitted(otfs[1], state, 1)
        left = np.array([[g.fitted(one, state, 0)[0] for one in otfs] for g in groups])
        offset += step * float(np.clip(_lowest(left.sum(axis=0)), -1.5, 1.5))
        offset = float(np.clip(offset, -REACH_UM, REACH_UM))
        spread = step * np.array([_lowest(one) for one in left])
    if spread.size < 2 or not np.isfinite(spread).all():
        return SheetOffset(offset, np.inf, state)
    return SheetOffset(offset, float(np.std(spread, ddof=1) / np.sqrt(spread.size)), state)


@dataclass(frozen=True)
class _Part:
    """Some lateral frequencies of a direction."""

    samples: np.ndarray
    rows: Rows
    field: VolumeField
    fit_frequency: bool

    @classmethod
    def of(cls, rows: Rows, field: VolumeField, samples: np.ndarray, fit_frequency: bool) -> _Part:
        few = replace(rows, values=np.ascontiguousarray(rows.values[..., samples]))
        return cls(samples, few, field.at(samples), fit_frequency)

    def fitted(self, otf: VolumeOTF, state: VolumeState, times: int) -> tuple[float, VolumeState]:
        """What the form leaves beyond noise, contrasts being free, and phases after `times` fits.

        It is told per sample, in nats.
        """
        kernels = Kernels.of(otf, self.field, state)
        form = Form.frozen(self.rows, kernels, self.field, state)
        start = state
        for _ in range(times):
            state = refit(form, self.field, state, start, self.fit_frequency)
            form = Form.frozen(self.rows, kernels, self.field, state)
        state = rescaled(form, state)
        c = form.rows.coefficients(state)
        left = float(np.real(np.conj(c) @ (form.matrix - form.noise) @ c))
        return left / self.samples.size, state


def _scan(
    part: _Part, otf_at: OTFAt, start: VolumeState, places_um: Sequence[float]
) -> tuple[float, VolumeState]:
    """The best of some distances, and the phases there."""
    best: tuple[float, float, VolumeState] | None = None
    for place in places_um:
        otf = otf_at(place)
        for turn in (0.0, np.pi):
            turned = replace(start, phase_rad=start.phase_rad + turn)
            left, state = part.fitted(otf, turned, 1)
            if best is None or left < best[0]:
                best = left, place, state
    assert best is not None
    return best[1], best[2]


def _lowest(values: Sequence[float] | np.ndarray) -> float:
    """Place of the minimum of the parabola through values at −1, 0, 1; infinite without one."""
    below, middle, above = (float(v) for v in values)
    bend = below - 2.0 * middle + above
    return 0.5 * (below - above) / bend if bend > 0 else float(np.sign(below - above)) * np.inf

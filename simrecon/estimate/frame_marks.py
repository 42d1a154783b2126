"""What each single frame says about the pattern: which direction lights it, at which phase.

The product of a frame (less its share of the mean image) with the mean image holds a point at the
frequency of the frame's own pattern, ``z = Σ_r (D − g·W) W exp(-2πi p·r)``, with the phase of that
frame; at the frequencies of the other directions it holds noise. So the frames carry marks, and
an order can be read off them without knowing the OTF. D and W are filtered as in
:mod:`.frequency`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from simrecon.estimate.direction_peaks import DirectionPeak
from simrecon.estimate.frequency import CarrierSearch
from simrecon.estimate.window import FieldWindow
from simrecon.model.pattern import line_distance_rad

SAME_LINE_RAD = math.radians(10.0)
"""Carriers within this angle are orders of one direction."""
_BESIDE_SAMPLES = ((5.0, 2.0), (-2.0, 5.0), (-5.0, -2.0), (2.0, -5.0), (7.0, 7.0), (-7.0, 7.0))
"""Where the noise is read: offsets from a carrier, DFT samples."""

Carrier = tuple[float, float]


def carrier_lines(peaks: Sequence[DirectionPeak], most: int) -> list[list[Carrier]]:
    """Carriers [fy, fx] (cycles/pixel) of convincing peaks, those of one line together.

    At most `most` lines, those with the highest peaks; of one line up to two distinct orders.
    """
    lines: list[list[Carrier]] = []
    for peak in sorted(peaks, key=lambda p: -p.peak_to_background):
        if peak.grade == "none":
            continue
        periods = peak.orders_px or (peak.period_px,)
        for period in periods:
            carrier = (math.sin(peak.angle_rad) / period, math.cos(peak.angle_rad) / period)
            _sort_in(lines, carrier)
    return lines[:most]


def _sort_in(lines: list[list[Carrier]], carrier: Carrier) -> None:
    for line in lines:
        if line_distance_rad(math.atan2(*line[0]), math.atan2(*carrier)) < SAME_LINE_RAD:
            ratios = [math.hypot(*carrier) / math.hypot(*known) for known in line]
            if len(line) < 2 and all(abs(math.log(r)) > 0.5 for r in ratios):
                line.append(carrier)
            return
    lines.append([carrier])


@dataclass(frozen=True)
class Marks:
    """Marks of the frames of one grouping.

    Attributes
    ----------
    values : ndarray (A, P, Z, K), complex128
        z of every frame at every carrier, in units of the noise at that carrier.
    line_of : tuple of int
        Line (direction) of each of the K carriers.
    """

    values: np.ndarray
    line_of: tuple[int, ...]

    def _per_line(self, power: np.ndarray) -> np.ndarray:
        """Sum of (A, K) powers over the carriers of each line, (A, lines)."""
        out = np.zeros((power.shape[0], 1 + max(self.line_of, default=-1)))
        for k, line in enumerate(self.line_of):
            out[:, line] += power[:, k]
        return out

    @property
    def steady_power(self) -> np.ndarray:
        """Power that the marks' mean over the planes has between the phases, (A, lines).

        Noise is taken off, and so is what all phases have in common: frames of one direction
        whose phase never moves are no set of phases.
        """
        phases, planes = self.values.shape[1:3]
        power = np.var(self.values.mean(axis=2), axis=1) - (1.0 - 1.0 / phases) / planes
        return self._per_line(np.maximum(power, 0.0))

    @property
    def power(self) -> np.ndarray:
        """Mean power of the marks, noise taken off, (A, lines)."""
        power = np.mean(np.abs(self.values) ** 2, axis=(1, 2)) - 1.0
        return self._per_line(np.maximum(power, 0.0))

    def assignment(self) -> list[int | None]:
        """Line of each direction (each line once), None where there is none left."""
        chosen: list[int | None] = [None] * self.values.shape[0]
        if self.line_of:
            rows, columns = linear_sum_assignment(-self.steady_power)
            for a, line in zip(rows, columns, strict=True):
                chosen[int(a)] = int(line)
        return chosen

    @property
    def total(self) -> float:
        """Mean power of a frame's marks, all lines together, in units of the noise."""
        return float(self.power.sum() / self.values.shape[0])

    @property
    def agreeing(self) -> float:
        """The part of it that this grouping explains.

        That is a mark that its direction has at a line of its own, that moves from phase to phase
        and is the same in every plane.
        """
        steady = self.steady_power
        assigned = enumerate(self.assignment())
        found = sum(float(steady[a, line]) for a, line in assigned if line is not None)
        return float(found / self.values.shape[0])

    @property
    def strength(self) -> float:
        """Root of `total`."""
        return float(np.sqrt(self.total))

    def phase_steps_rad(self) -> list[tuple[float, ...] | None]:
        """Steps between successive frames of each direction, (−π, π]; None without a mark."""
        out: list[tuple[float, ...] | None] = []
        steady = self.steady_power
        for a, line in enumerate(self.assignment()):
            if line is None or steady[a, line] <= 1.0:
                out.append(None)
                continue
            own = [k for k, at in enumerate(self.line_of) if at == line]
            coarse = own[-1] if len(own) > 1 else own[0]
            mean = self.values[a, :, :, coarse].mean(axis=1)
            steps = np.angle(mean[1:] * np.conj(mean[:-1]))
            out.append(tuple(float(s) for s in steps))
        return out


def read_marks(data: np.ndarray, lines: Sequence[Sequence[Carrier]]) -> Marks:
    """Marks of every frame of a grouping.

    Parameters
    ----------
    data : ndarray (A, P, Z, Y, X)
        Frames; planes are compared with the mean of their own A·P frames.
    lines
        From :func:`carrier_lines`.
    """
    a, p, planes = data.shape[:3]
    carriers = [c for line in lines for c in sorted(line, key=lambda c: -math.hypot(*c))]
    line_of = tuple(i for i, line in enumerate(lines) for _ in line)
    values = np.zeros((a, p, planes, len(carriers)), np.complex128)
    if not carriers:
        return Marks(values, line_of)
    window = FieldWindow.on((data.shape[-2], data.shape[-1]), 1.0)
    points = _points(carriers, window.padded.extent_um)
    noise = np.zeros(len(carriers))
    for z in range(planes):
        frames = np.asarray(data[:, :, z], dtype=np.float32)
        scale = float(np.abs(frames).max()) or 1.0
        search = CarrierSearch(window.transform(frames / scale), window)
        found = np.stack([search.marks(d, points) for d in range(a)])
        found = found.reshape(a, p, len(carriers), -1)
        values[:, :, z] = found[..., 0]
        noise += np.mean(np.abs(found[..., 1:]) ** 2, axis=(0, 1, 3)) / planes
    return Marks(values / np.sqrt(np.maximum(noise, 1e-300)), line_of)


def _points(carriers: Sequence[Carrier], extent_px: tuple[float, float]) -> np.ndarray:
    """Each carrier followed by its noise points, (K·7, 2), cycles/pixel."""
    beside = np.array([(0.0, 0.0), *_BESIDE_SAMPLES]) / np.asarray(extent_px)
    return np.asarray(np.asarray(carriers)[:, None, :] + beside[None]).reshape(-1, 2)

"""Mean and variance of a stack of frames in one pass and constant memory.

Welford's update in float64 (B. P. Welford, Technometrics 4, 1962, 419), extended by the covariance
of each pixel with the frame's mean: with it the common flicker of the lamp can be taken out of the
pixel variances afterwards, without a second pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from simrecon.checks import FULL_SCALES, PILE_SHARE, PILE_STEP


@dataclass(eq=False)
class Moments:
    """Running sums of equal frames.

    Attributes
    ----------
    count : int
        Frames so far.
    mean : ndarray (Y, X), float64
        Mean of each pixel.
    scatter : ndarray (Y, X)
        Σ (x − mean)² of each pixel.
    with_frame_mean : ndarray (Y, X)
        Σ (x − mean)(m − mean m), m the mean of the frame.
    frame_means : list of float
        Mean of each frame, in order.
    row_scatter, column_scatter : ndarray (Y,), (X,)
        Σ (d − mean d)² of the row (column) means relative to the frame's mean.
    top, at_top, below_top : float, int, int
        Largest value, and how many samples had it or one count less.
    zeros : int
        Samples that were zero.
    """

    count: int = 0
    mean: np.ndarray = field(default_factory=lambda: np.zeros(()))
    scatter: np.ndarray = field(default_factory=lambda: np.zeros(()))
    with_frame_mean: np.ndarray = field(default_factory=lambda: np.zeros(()))
    frame_means: list[float] = field(default_factory=list)
    row_scatter: np.ndarray = field(default_factory=lambda: np.zeros(()))
    column_scatter: np.ndarray = field(default_factory=lambda: np.zeros(()))
    top: float = -np.inf
    at_top: int = 0
    below_top: int = 0
    zeros: int = 0
    _level: float = 0.0
    _rows: np.ndarray = field(default_factory=lambda: np.zeros(()))
    _columns: np.ndarray = field(default_factory=lambda: np.zeros(()))

    def add(self, frame: np.ndarray) -> None:
        """Take one frame (Y, X) into account."""
        x = np.asarray(frame, dtype=np.float64)
        self._levels(x)
        m = float(x.mean())
        before = self._level
        if self.count == 0:
            self.mean, self.scatter = np.zeros_like(x), np.zeros_like(x)
            self.with_frame_mean = np.zeros_like(x)
        self.count += 1
        delta = x - self.mean
        self.mean += delta / self.count
        self.scatter += delta * (x - self.mean)
        self.with_frame_mean += (x - self.mean) * (m - before)
        self.frame_means.append(m)
        self._level += (m - before) / self.count
        rows, columns = x.mean(axis=1) - m, x.mean(axis=0) - m
        self._rows, self.row_scatter = self._line(rows, self._rows, self.row_scatter)
        self._columns, self.column_scatter = self._line(columns, self._columns, self.column_scatter)

    def _line(
        self, values: np.ndarray, mean: np.ndarray, scatter: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        delta = values - mean
        mean = mean + delta / self.count
        return mean, scatter + delta * (values - mean)

    def _levels(self, x: np.ndarray) -> None:
        top = float(x.max())
        if top > self.top:
            self.below_top = self.at_top if top == self.top + 1.0 else 0
            self.top, self.at_top = top, 0
        self.at_top += int(np.count_nonzero(x == self.top))
        self.below_top += int(np.count_nonzero(x == self.top - 1.0))
        self.zeros += int(np.count_nonzero(x == 0.0))

    @property
    def variance(self) -> np.ndarray:
        """Temporal variance of each pixel, shape (Y, X)."""
        return self.scatter / (self.count - 1)

    @property
    def frame_mean_variance(self) -> float:
        """Variance of the frame means."""
        return float(np.var(self.frame_means, ddof=1))

    @property
    def saturated_fraction(self) -> float:
        """Fraction of samples at the camera's full scale.

        As :func:`simrecon.checks.saturation`: the largest value is a full scale, or an implausible
        pile sits on it.
        """
        samples = self.count * self.mean.size
        piled = self.at_top >= PILE_SHARE * samples and self.at_top >= PILE_STEP * self.below_top
        return self.at_top / samples if self.top in FULL_SCALES or piled else 0.0

    def variance_without_flicker(self, dark: np.ndarray) -> np.ndarray:
        """Temporal variance of each pixel at the mean light, shape (Y, X).

        Parameters
        ----------
        dark : ndarray (Y, X)
            Mean of each pixel without light.

        Notes
        -----
        A frame lit a_t times the mean light is set back by subtracting (a_t − 1) times the pixel's
        signal, with a_t from the frame mean m_t; its noise stays as it was, so that the variance is
        the one at the mean light whatever the flicker. With r = signal / mean signal,
        Σ (x − r m)² = Sxx − 2 r Sxm + r² Smm. The frame mean shares 1/N of each pixel's noise;
        the factor N / (N − 1) makes up for that.
        """
        signal = self.mean - dark
        ratio = signal / signal.mean()
        of_means = self.frame_mean_variance * (self.count - 1)
        scatter = self.scatter - 2 * ratio * self.with_frame_mean + ratio**2 * of_means
        size = self.mean.size
        return np.asarray(np.maximum(scatter, 0.0) * (size / (size - 1) / (self.count - 1)))


def measure(frames: Iterable[np.ndarray], tick: Callable[[], None] | None = None) -> Moments:
    """Moments of all frames; `tick` is called after each frame."""
    moments = Moments()
    for frame in frames:
        moments.add(frame)
        if tick is not None:
            tick()
    return moments

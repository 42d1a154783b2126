"""Is the trained network better than the classical method that it started from?

Fresh noise makes copies of the frames that neither has seen; each method restores one copy, and
what counts is how well its forward model predicts the independent other one. No truth is
needed. A network that has learned the noise of these very frames by heart would look a little
too good; one that was trained too briefly, or has collapsed, is found out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from zsdeconv.measurement import Measurement
from zsdeconv.recorrupt import recorrupt

_ALPHA = 0.5

Restore = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class HeldOut:
    """Comparison of two methods on copies that they have not seen.

    Attributes
    ----------
    gain
        Mean χ² of the other method's predictions minus that of the network's, per raw value
        and in units of the frames' own noise: positive where the network is better.
    gain_sd
        Standard error of that mean over the draws.
    """

    gain: float
    gain_sd: float

    @property
    def worse(self) -> bool:
        """Whether the network predicts worse, beyond the comparison's own error."""
        return self.gain < -self.gain_sd


def compare(
    measurement: Measurement,
    network: Restore,
    other: Restore,
    draws: int,
    rng: np.random.Generator,
) -> HeldOut:
    """Let both methods predict the partners of `draws` fresh copies and of their mirror images.

    Parameters
    ----------
    network, other : callable
        ``frames (F, Y, X) → object (zoom·Y, zoom·X)``.
    draws
        At least 2.
    """
    y, variance = measurement.frames_e, measurement.variance_e2
    gains = []
    for _ in range(draws):
        noise = measurement.draw_noise(rng)
        total = 0.0
        for sign in (1, -1):
            copy, partner = recorrupt(y, noise, _ALPHA, sign)
            ours, theirs = (
                np.mean((measurement.predict(method(copy)) - partner) ** 2 / variance)
                for method in (network, other)
            )
            total += float(theirs - ours)
        gains.append(total / 2.0)
    return HeldOut(float(np.mean(gains)), float(np.std(gains, ddof=1) / np.sqrt(draws)))

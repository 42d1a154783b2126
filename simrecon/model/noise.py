"""Noise variance of frames as a function of what is expected of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from simrecon.backend import Array, namespace


@dataclass(frozen=True)
class FrameNoise:
    """``variance = shot_e · max(expected, 0) + read_variance_e2``, independent between pixels.

    The fields follow whatever was done to the frames, so that a new expectation (of an iterative
    method, of a network's picture) gets the weight that the raw counts deserve.

    Attributes
    ----------
    read_variance_e2 : array or float, e²
        What light does not make.
    shot_e : array or float, e
        Variance per expected photo-electron: 1 for frames as recorded.

    Both are numbers or broadcast against frames (A, P, Y, X) or (F, Y, X).
    """

    read_variance_e2: Array | float
    shot_e: Array | float = 1.0

    def variance(self, expected_e: Array) -> Array:
        """Variance of frames with this expectation, e², in its shape and on its device."""
        xp = namespace(expected_e)
        light = xp.maximum(expected_e, xp.zeros_like(expected_e))
        return light * self.shot_e + self.read_variance_e2

    def divided(self, factors: Array | float) -> FrameNoise:
        """Noise of ``frames / factors``."""
        return FrameNoise(self.read_variance_e2 / factors**2, self.shot_e / factors)

    def averaged(self, count: int) -> FrameNoise:
        """Noise of the mean of `count` such frames."""
        return FrameNoise(self.read_variance_e2 / count, self.shot_e / count)

    def part(self, index: tuple[Any, ...]) -> FrameNoise:
        """Noise of ``frames[index]``; fields that are arrays have the frames' shape."""
        return self.map(lambda values: values[index])

    def map(self, function: Callable[[Array], Array]) -> FrameNoise:
        """`function` applied to the fields that are arrays (a dtype, a device, …)."""
        fields = (self.read_variance_e2, self.shot_e)
        return FrameNoise(*(v if isinstance(v, float | int) else function(v) for v in fields))

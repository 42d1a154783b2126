"""Rigid displacement of the sample: frames that share one, and its phase ramp.

A frame of an object displaced by u shows ``D(r) = D'(r − u)`` with D' the frame of the object at
rest under a pattern of the phase ``φ + 2π p·u``. Demodulated with the *instrument's* frequency,
band n of D is band n of D' displaced by u, times ``exp(-2πi n p·u)``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.fft

from simrecon.backend import Array, namespace, usable_cores
from simrecon.model.grid import AnyGrid, Grid, resized
from simrecon.model.pattern import DirectionPattern, PatternFit
from simrecon.recon.bands import Band
from simrecon.recon.padding import MirrorPadding
from simrecon.recon.support import SupportBlock

BORDER_PX = 16
"""Mirror margin of :func:`frames_at_rest`: beyond it the ripple of a shifted edge is lost."""


@dataclass(frozen=True)
class FrameGroup:
    """Frames of one entry along A that share a displacement.

    Attributes
    ----------
    frames : int
        Which entry.
    member : ndarray, shape (P,), float64
        1 for the frames of the group, else 0.
    shift_um : (float, float)
        Displacement u = (y, x) of the object in these frames, µm.
    """

    frames: int
    member: np.ndarray
    shift_um: tuple[float, float]

    @property
    def still(self) -> bool:
        """Whether the object is where it should be."""
        return self.shift_um == (0.0, 0.0)

    def ramp(self, grid: AnyGrid) -> tuple[np.ndarray, np.ndarray]:
        """``exp(-2πi k·u)`` on the lateral frequencies of `grid`, factors (Y, 1) and (1, X)."""
        return shift_ramp(grid, self.shift_um)


@dataclass(frozen=True)
class BandPart:
    """One band as some of the frames show it.

    Attributes
    ----------
    index : int
        Which band.
    weights : Array, shape (P,), complex64
        Separation weights, 0 for other frames.
    mixing : Array, shape (P,), complex64
        Frames that the band makes, 0 for other frames.
    ramp : tuple of Array, or None
        ``exp(-2πi k·u)`` on the band's block of frequencies, factors (Y, 1) and (1, X); None where
        nothing moved.
    """

    index: int
    weights: Array
    mixing: Array
    ramp: tuple[Array, Array] | None

    def displaced(self, transfer: Array) -> Array:
        """A filter from the object at rest to this part."""
        return transfer if self.ramp is None else transfer * self.ramp[0] * self.ramp[1]

    def restored(self, transfer: Array) -> Array:
        """A filter from this part to the object at rest."""
        if self.ramp is None:
            return transfer
        xp = namespace(transfer)
        return transfer * xp.conj(self.ramp[0]) * xp.conj(self.ramp[1])


def weighted_sum(weights: Array, frames: Array) -> Array:
    """``Σ_j weights_j · frames_j`` over the first axis, one frame at a time."""
    total = weights[0] * frames[0, ...]
    for j in range(1, frames.shape[0]):
        total += weights[j] * frames[j, ...]
    return total


def shift_ramp(grid: AnyGrid, shift_um: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """``exp(-2πi k·u)``: displaces an image by u = (y, x); factors (Y, 1), (1, X), complex128."""
    ky, kx = (np.ravel(k) for k in grid.frequencies_per_um()[-2:])
    ey, ex = np.exp(-2j * np.pi * shift_um[0] * ky), np.exp(-2j * np.pi * shift_um[1] * kx)
    return ey[:, None], ex[None, :]


def frame_groups(number: int, direction: DirectionPattern) -> list[FrameGroup]:
    """Groups of the frames `number` along A, which `direction` (or several of the same drift)
    lights, in the order of their first frames; one when all is still.
    """
    shifts = direction.drift_um or ((0.0, 0.0),) * len(direction.phase_rad)
    groups = []
    for shift in dict.fromkeys(shifts):
        member = np.array([1.0 if other == shift else 0.0 for other in shifts])
        groups.append(FrameGroup(number, member, shift))
    return groups


def frames_at_rest(frames: np.ndarray, pattern: PatternFit) -> np.ndarray:
    """Frames with every object displacement undone by a Fourier shift; host float32.

    The pattern of the result is ``pattern.at_rest()``. Pixels within about the displacement of
    the border come from the mirror extension.

    Parameters
    ----------
    frames : ndarray, shape (A, P, Y, X)
    """
    if not pattern.drifting:
        return frames
    padding = MirrorPadding.around(frames.shape[-2:], BORDER_PX)
    grid = resized(Grid(pattern.shape, pattern.pixel_um), padding.padded)
    moved = np.array(frames, dtype=np.float32)
    for d, members in enumerate(pattern.frame_sets):
        for j, shift in enumerate(pattern.directions[members[0]].drift_um):
            if shift == (0.0, 0.0):
                continue
            ey, ex = shift_ramp(grid, (-shift[0], -shift[1]))
            half = ex[:, : grid.shape[1] // 2 + 1]
            spectrum = scipy.fft.rfft2(padding.extend(moved[d, j]), workers=usable_cores())
            spectrum *= (ey * half).astype(np.complex64)
            image = scipy.fft.irfft2(spectrum, s=grid.shape, workers=usable_cores())
            moved[d, j] = padding.crop(image)
    return moved


def band_parts(
    group: FrameGroup,
    bands: Sequence[Band],
    blocks: Sequence[SupportBlock],
    padded_sr: AnyGrid,
    to_device: Callable[[np.ndarray], Array],
) -> list[BandPart]:
    """All bands in some frames as those of `group` show them, order 0 first.

    Parameters
    ----------
    group
        The frames.
    bands : sequence of Band
        Of all directions; parts name them by their index.
    blocks : sequence of SupportBlock
        Where the filter of each band is not zero.
    padded_sr : Grid or VolumeGrid
        Where the filters live.
    to_device : callable
        Host array to a complex64 one of the operator's library and device.
    """
    ey, ex = group.ramp(padded_sr)
    last = len(padded_sr.shape) - 1
    parts = []
    for index, band in enumerate(bands):
        if band.frames == group.frames:
            weights, made = (
                to_device(group.member * row)
                for row in (band.weights, band.multiplicity * band.mixing)
            )
            ramp = None
            if not group.still:
                rows, columns = (blocks[index].indices(axis) for axis in (last - 1, last))
                ramp = (to_device(ey[rows]), to_device(ex[:, columns]))
            parts.append(BandPart(index, weights, made, ramp))
    return parts

"""Every raw frame of every bead, on the beads' common centre."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from calibration.psf.align import fourier_shift, inner
from calibration.psf.crops import Window, cut
from calibration.psf.measure import PsfMeasurement


@dataclass(frozen=True)
class BeadFrames:
    """Raw frames of the beads that were used.

    Attributes
    ----------
    frames : ndarray, shape (N, A, P, Z, Y, X), float32
        Counts above background; the bead lies on the middle voxel.
    amplitude : ndarray, shape (N,)
        Relative brightness, median 1.
    position_um : ndarray, shape (N, 3)
        Where the beads are, (z, y, x).
    stack : ndarray, shape (N,), int
        Which recording each bead is from.
    """

    frames: np.ndarray
    amplitude: np.ndarray
    position_um: np.ndarray
    stack: np.ndarray


def widefield(frames: np.ndarray, saturated: float | None) -> tuple[np.ndarray, float | None]:
    """Sum of frames (A, P, Z, Y, X) over directions and phases, and the level of saturated voxels.

    Voxels that are saturated in any frame are lifted above all others, so that the screening of
    beads sees them.
    """
    total = frames.sum(axis=(0, 1), dtype=np.float64)
    if saturated is None:
        return total, None
    hit = (frames >= saturated).any(axis=(0, 1))
    level = float(frames.shape[0] * frames.shape[1]) * saturated
    total[hit] = level
    return total, level


def bead_frames(stacks: Sequence[np.ndarray], found: PsfMeasurement) -> BeadFrames:
    """Cut the beads of a measurement out of its raw frames.

    Parameters
    ----------
    stacks
        Recordings (A, P, Z, Y, X), counts; `found` was measured on their sums.
    """
    planes, side, _ = found.aligned.mean.shape
    window = Window(planes // 2 if planes > 1 else 0, side // 2)
    pitch = np.array([found.setup.dz_um or 0.0, found.setup.pixel_um, found.setup.pixel_um])
    cuts = []
    for bead, place, level in zip(
        found.used, found.aligned.positions_px, found.aligned.backgrounds, strict=True
    ):
        frames = stacks[bead.spot.stack]
        count = frames.shape[0] * frames.shape[1]
        one = np.empty((*frames.shape[:2], planes, side, side), dtype=np.float32)
        for a, j in np.ndindex(*frames.shape[:2]):
            crop = cut(frames[a, j], bead.spot, window)
            assert crop is not None  # it was cut out of the sum of these frames before
            shift = place - np.array(crop.corner) - np.array(crop.counts.shape) // 2
            one[a, j] = inner(fourier_shift(crop.counts - level / count, list(-shift)))
        cuts.append(one)
    return BeadFrames(
        np.stack(cuts), found.aligned.amplitudes / np.median(found.aligned.amplitudes),
        found.aligned.positions_px * pitch, np.array([b.spot.stack for b in found.used]),
    )  # fmt: skip

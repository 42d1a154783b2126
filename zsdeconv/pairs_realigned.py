"""Pixel-realigned pairs: quarters of the pixels of raw SIM frames, which need no noise model.

Every second pixel of every second row is one of four quarters; their noise is independent whatever
it is. In the published method (PRS-SIM, Chen et al., PhotoniX 5, 2024) each quarter alone is
brought back to the common grid, reconstructed, and the network maps one such picture to another. A
quarter has twice the pixel, which folds the pattern of most instruments back into the picture, and
its reconstruction is compared with one of other pixels. Here the input is what the *three other*
quarters show, realigned by filling the hidden pixels from their neighbours and reconstructed by the
frozen operator L, and ``forward(object)`` is compared with the hidden quarter's pixels where they
are. The denoised picture is compared with ``4 L(hidden pixels, zeros elsewhere)``: over the four
quarters, which are equally frequent, its mean is the reconstruction of all pixels, L y.

The pairs need no noise model; the weights of the comparison, and whatever judges the result later
(stacking, held-out test, χ², uncertainty), use the camera's.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.ndimage import convolve

from zsdeconv.measurement import Measurement, Padding
from zsdeconv.parts import Parts, make_parts

QUARTERS = ((0, 0), (0, 1), (1, 1), (1, 0))
"""First row and column of every quarter; opposite ones (i, i + 2) are diagonal."""
_NEIGHBOURS = np.array([[1.0, 2.0, 1.0], [2.0, 0.0, 2.0], [1.0, 2.0, 1.0]], dtype=np.float32)


def hidden_pixels(shape: tuple[int, ...], part: int) -> np.ndarray:
    """Mask (Y, X) of the quarter that a part does not hold."""
    (row, column), (y, x) = QUARTERS[part], np.indices(shape)
    return np.asarray((y % 2 == row) & (x % 2 == column))


def realigned(frames: np.ndarray, part: int) -> np.ndarray:
    """Three quarters on the full grid: hidden pixels are the weighted mean of their neighbours.

    Parameters
    ----------
    frames : ndarray, shape (F, Y, X)
        Their pixels of the hidden quarter are not used.
    part
        Index of the hidden quarter in `QUARTERS`.
    """
    hidden = hidden_pixels(frames.shape[1:], part)
    seen = np.where(hidden, np.float32(0), frames)
    # mirror images about the outermost pixel keep every pixel in its quarter
    sums = convolve(seen, _NEIGHBOURS[None], mode="mirror")
    counts = convolve((~hidden).astype(np.float32), _NEIGHBOURS, mode="mirror")
    return np.asarray(np.where(hidden, sums / counts, frames), dtype=np.float32)


def make_quarters(measurement: Measurement, padding: Padding, device: torch.device) -> Parts:
    """Split raw SIM frames into quarters; lift and start what the other three show."""
    frames, own = measurement.frames_e, measurement.image_variance
    assert own is not None
    count = len(QUARTERS)
    hidden = [hidden_pixels(frames.shape[1:], part) for part in range(count)]
    targets = [
        np.asarray(measurement.lift(np.where(h, np.float32(count), 0) * frames), np.float32)
        for h in hidden
    ]
    shown = [~h for h in hidden]
    return make_parts(
        measurement, padding, device, shown, realigned, targets, [count * own] * count
    )

"""Richardson–Lucy deconvolution, of one image or of all raw SIM frames together.

    f ← f · Aᵀ( w · (y + r) / (A f + r) ) / Aᵀ w

A is the forward model over a field larger than the camera's, w is 1 on the camera and 0 outside
(the boundary weights of Bertero & Boccacci, A&A 437, 369, 2005): light from outside the field is
estimated instead of folded back. r is the read noise's variance, added to both sides (Snyder et
al., JOSA A 12, 272, 1995).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from zsdeconv.measurement import Measurement, Padding

_SMALLEST_WEIGHT = 0.01
_SMALLEST_STEP = 0.1


def richardson_lucy(
    measurement: Measurement, iterations: int, frames_e: np.ndarray | None = None
) -> Iterator[np.ndarray]:
    """Yield the object after each iteration; float32 on the image's grid, e, not negative.

    Parameters
    ----------
    measurement
        Its `forward` and `read_variance_e2` are used; a plain image is its one-frame case.
    iterations
        How many to yield.
    frames_e : ndarray, shape (F, Y, X), optional
        Frames to use instead of the measurement's own.
    """
    y = measurement.frames_e if frames_e is None else frames_e
    zoom = measurement.zoom
    padding = Padding.around((y.shape[1], y.shape[2]), zoom, 2 * zoom)
    forward = measurement.forward
    device = getattr(forward, "device", torch.device("cpu"))
    forward.prepare(padding.origin, padding.image_shape)
    read = np.broadcast_to(measurement.read_variance_e2, y.shape).astype(np.float32)
    mask = torch.from_numpy(padding.frames(np.ones_like(y, dtype=np.float32))).to(device)
    data = torch.from_numpy(padding.frames((y + read).astype(np.float32))).to(device)
    noise = torch.from_numpy(padding.frames(read)).to(device)
    with torch.inference_mode():
        weight = forward.transpose(mask, padding.origin)
        weight = torch.clamp(weight, min=_SMALLEST_WEIGHT * float(weight.max()))
        start = max(float(y.mean(dtype=np.float64)), 1e-6)
        estimate = torch.full(padding.image_shape, start, device=device)
        floor = 1e-4 * start
        for _ in range(iterations):
            expected = forward(estimate[None, None], [padding.origin])[0]
            ratio = mask * data / (torch.clamp(expected, min=floor) + noise)
            factor = forward.transpose(ratio, padding.origin) / weight
            estimate = estimate * torch.clamp(factor, min=_SMALLEST_STEP)
            yield padding.crop_image(estimate.cpu().numpy()).copy()

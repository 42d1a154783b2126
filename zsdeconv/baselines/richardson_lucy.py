"""Richardson–Lucy deconvolution, of one image or of all raw SIM frames together.

    f ← f · Aᵀ( w · (y + r/g) / (A f + r/g) ) / Aᵀ w

A is the forward model over a field larger than the camera's, w is 1/g on the camera and 0 outside
(the boundary weights of Bertero & Boccacci, A&A 437, 369, 2005): light from outside the field is
estimated instead of folded back. r is the read noise's variance, added to both sides (Snyder et
al., JOSA A 12, 272, 1995), and g the variance per photo-electron
(:class:`simrecon.model.noise.FrameNoise`): 1 for frames as recorded.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from zsdeconv.bridge import to_host, to_tensor
from zsdeconv.measurement import Measurement, Padding

_SMALLEST_WEIGHT = 0.01
_SMALLEST_STEP = 0.1


class RichardsonLucy:
    """The iteration on one padded field; build once, run on any frames.

    Parameters
    ----------
    measurement
        Its `forward` and `noise` are used; a plain image is its one-frame case.
    padding
        Extension of the field; its margin is where light from outside goes.
    """

    def __init__(self, measurement: Measurement, padding: Padding) -> None:
        self._forward, self._padding = measurement.forward, padding
        self.device = getattr(self._forward, "device", torch.device("cpu"))
        self._forward.prepare(padding.origin, padding.image_shape)
        shape = measurement.frames_e.shape
        noise = measurement.noise
        read = np.asarray(noise.read_variance_e2 / noise.shot_e)
        self._read = np.broadcast_to(read, shape).astype(np.float32)
        per_e = np.broadcast_to(np.asarray(1.0 / noise.shot_e), shape).astype(np.float32)
        self._mask = self._tensor(per_e)
        self._noise = self._tensor(self._read)
        with torch.inference_mode():
            weight = self._forward.transpose(self._mask, padding.origin)
            self._weight = torch.clamp(weight, min=_SMALLEST_WEIGHT * float(weight.max()))

    def _tensor(self, frames: np.ndarray) -> torch.Tensor:
        return to_tensor(self._padding.frames(frames), self.device)

    def expected(self, estimate: torch.Tensor) -> torch.Tensor:
        """Frames (F, Y, X), padded, of a padded estimate."""
        return self._forward(estimate[None, None], [self._padding.origin])[0]

    def iterate(
        self, frames_e: np.ndarray, iterations: int, *, accelerate: bool = False
    ) -> Iterator[torch.Tensor]:
        """Yield the padded estimate after each iteration.

        With `accelerate`, each step starts from a point extrapolated along the last one
        (Biggs & Andrews, Appl. Opt. 36, 1766, 1997, eq. 8-10).
        """
        start = max(float(frames_e.mean(dtype=np.float64)), 1e-6)
        with torch.inference_mode():
            data = self._tensor((frames_e + self._read).astype(np.float32))
            here = torch.full(self._padding.image_shape, start, device=self.device)
            before, gradient = here, torch.zeros_like(here)
            old_gradient = gradient
            for step in range(iterations):
                point = here
                if accelerate and step > 1:
                    top = float((gradient * old_gradient).sum())
                    pull = top / max(float((old_gradient**2).sum()), 1e-30)
                    point = torch.clamp(
                        here + min(max(pull, 0.0), 1.0) * (here - before), min=1e-4 * start
                    )
                ratio = (
                    self._mask
                    * data
                    / (torch.clamp(self.expected(point), min=1e-4 * start) + self._noise)
                )
                factor = self._forward.transpose(ratio, self._padding.origin) / self._weight
                before, here = here, point * torch.clamp(factor, min=_SMALLEST_STEP)
                old_gradient, gradient = gradient, here - point
                yield here.clone()


def richardson_lucy(
    measurement: Measurement, iterations: int, frames_e: np.ndarray | None = None
) -> Iterator[np.ndarray]:
    """Yield the plain iteration's object, cropped; float32 on the image's grid, e, not negative.

    `frames_e` (F, Y, X) replaces the measurement's own frames.
    """
    y = measurement.frames_e if frames_e is None else frames_e
    padding = measurement.padding
    solver = RichardsonLucy(measurement, padding)
    for estimate in solver.iterate(y, iterations):
        yield padding.crop_image(to_host(estimate)).copy()

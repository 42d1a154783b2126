"""True convolution with a PSF as a torch layer, for any patch size."""

from __future__ import annotations

import numpy as np
import torch

from simrecon.errors import UsageError
from zsdeconv.bridge import to_tensor


class PsfLayer:
    """``image ⊛ psf`` (a convolution, not a correlation) by FFT, periodic over the patch.

    Parameters
    ----------
    psf : ndarray, shape (n, m) or (p, n, m)
        Kernel of images or volumes, centred on n//2 along each axis of the patch's grid; it need
        be neither symmetric nor small, nor sum to 1.

    Notes
    -----
    The patch is periodic: leave a margin as wide as the kernel out of what is compared.
    """

    def __init__(self, psf: np.ndarray) -> None:
        if psf.ndim not in (2, 3):
            raise UsageError("A PSF needs two or three axes.", got=str(psf.shape))
        self.psf = np.asarray(psf, dtype=np.float64)
        self._transfers: dict[tuple[tuple[int, ...], str], torch.Tensor] = {}

    def transfer(self, shape: tuple[int, ...], device: torch.device) -> torch.Tensor:
        """Half-spectrum transfer function ([Z,] Y, X//2+1), complex64; the kernel wraps round."""
        key = (shape, str(device))
        if key not in self._transfers:
            kernel = np.zeros(shape)
            places = [
                (np.arange(n) - n // 2) % s for n, s in zip(self.psf.shape, shape, strict=True)
            ]
            np.add.at(kernel, np.ix_(*places), self.psf)
            spectrum = np.fft.rfftn(kernel).astype(np.complex64)
            with torch.inference_mode(False):  # training uses it as well
                self._transfers[key] = to_tensor(spectrum, device)
        return self._transfers[key]

    def __call__(self, image: torch.Tensor) -> torch.Tensor:
        """Tensor (…, [Z,] Y, X), float32 → the same shape."""
        axes = tuple(range(-self.psf.ndim, 0))
        shape = tuple(int(image.shape[a]) for a in axes)
        spectrum = torch.fft.rfftn(image, dim=axes) * self.transfer(shape, image.device)
        result: torch.Tensor = torch.fft.irfftn(spectrum, s=shape, dim=axes)
        return result

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
    psf : ndarray, shape (n, m)
        Kernel centred on pixel (n//2, m//2) on the patch's grid; it need be neither
        symmetric nor small, nor sum to 1.

    Notes
    -----
    The patch is periodic: leave a margin as wide as the kernel out of what is compared.
    """

    def __init__(self, psf: np.ndarray) -> None:
        if psf.ndim != 2:
            raise UsageError("A PSF needs two axes.", got=str(psf.shape))
        self.psf = np.asarray(psf, dtype=np.float64)
        self._transfers: dict[tuple[int, int, str], torch.Tensor] = {}

    def transfer(self, shape: tuple[int, int], device: torch.device) -> torch.Tensor:
        """Half-spectrum transfer function (Y, X//2+1), complex64; the kernel wraps round."""
        key = (*shape, str(device))
        if key not in self._transfers:
            n, m = self.psf.shape
            kernel = np.zeros(shape)
            rows = (np.arange(n) - n // 2) % shape[0]
            columns = (np.arange(m) - m // 2) % shape[1]
            np.add.at(kernel, (rows[:, None], columns[None, :]), self.psf)
            spectrum = np.fft.rfft2(kernel).astype(np.complex64)
            self._transfers[key] = to_tensor(spectrum, device)
        return self._transfers[key]

    def __call__(self, image: torch.Tensor) -> torch.Tensor:
        """Tensor (…, Y, X), float32 → the same shape."""
        shape = (int(image.shape[-2]), int(image.shape[-1]))
        spectrum = torch.fft.rfft2(image) * self.transfer(shape, image.device)
        result: torch.Tensor = torch.fft.irfft2(spectrum, s=shape)
        return result

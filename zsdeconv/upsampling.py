"""Pictures whose object is estimated on a finer grid than the camera's.

As SIM frames do, such a picture has an object grid of its own: the network sees the picture
interpolated onto it, and the forward model blurs the object there and gathers it in the camera's
pixels. Nothing is measured twice: noise and likelihood stay those of the camera.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from scipy import fft

from zsdeconv.measurement import Measurement, PsfForward


class BinnedForward:
    """Forward model: convolution with the PSF on the fine grid, then the mean over camera pixels.

    Parameters
    ----------
    psf
        Integrated over the *fine* pixels, centred on n//2, sum 1.
    zoom
        Fine pixels per camera pixel and axis.
    """

    def __init__(self, psf: np.ndarray, zoom: int) -> None:
        self._blur, self._zoom = PsfForward(psf), zoom

    def prepare(self, origin: tuple[int, ...], shape: tuple[int, ...]) -> None:
        """Do nothing: a convolution is the same everywhere."""

    def __call__(self, objects: torch.Tensor, origins: Sequence[tuple[int, ...]]) -> torch.Tensor:
        """(B, 1, Y, X) → (B, 1, Y/zoom, X/zoom)."""
        return torch.nn.functional.avg_pool2d(self._blur(objects, origins), self._zoom)

    def transpose(self, frames: torch.Tensor, origin: tuple[int, ...]) -> torch.Tensor:
        """(1, Y, X) → (zoom·Y, zoom·X)."""
        spread = frames.repeat_interleave(self._zoom, -2).repeat_interleave(self._zoom, -1)
        return self._blur.transpose(spread / self._zoom**2, origin)


def interpolated(frames: np.ndarray, zoom: int) -> np.ndarray:
    """(F, Y, X) → the first frame on a grid `zoom` times finer, float32; linear.

    Its cosine series, which continues it by its mirror image; camera pixel i covers the fine pixels
    zoom·i … zoom·i + zoom − 1, and the mean of the picture is kept.
    """
    waves = fft.dctn(np.asarray(frames[0], dtype=np.float32), norm="forward")
    after = [(0, (zoom - 1) * n) for n in waves.shape]
    return np.asarray(fft.idctn(np.pad(waves, after), norm="forward"), dtype=np.float32)


def gathering(shape: tuple[int, ...], zoom: int) -> np.ndarray:
    """Transfer of the mean over zoom × zoom fine pixels around its own centre, (Y, X), real."""
    k = [np.pi * np.fft.fftfreq(n) for n in shape]
    rows, columns = (
        sum(np.cos((2 * i - zoom + 1) * w) for i in range(zoom)) / zoom for w in k
    )  # fmt: skip
    return np.asarray(np.outer(rows, columns))


def gathered(psf: np.ndarray, zoom: int) -> np.ndarray:
    """A fine PSF integrated over the camera's pixels, on the fine grid."""
    seen = np.fft.fft2(np.fft.ifftshift(psf)) * gathering(psf.shape, zoom)
    return np.asarray(np.fft.fftshift(np.fft.ifft2(seen).real))


def on_camera_grid(psf: np.ndarray, zoom: int) -> np.ndarray:
    """A fine PSF as the camera's pixels sample it, centred; sum 1."""
    first = [(n // 2) % zoom for n in psf.shape]
    samples = gathered(psf, zoom)[first[0] :: zoom, first[1] :: zoom]
    return np.asarray(samples / samples.sum())


def upsampled(camera_grid: Measurement, psf: np.ndarray, zoom: int) -> Measurement:
    """A picture (one frame, zoom 1) as a measurement of an object on a finer grid.

    Parameters
    ----------
    camera_grid
        The picture with its noise.
    psf, zoom
        See :class:`BinnedForward`.
    """
    return replace(
        camera_grid,
        lift=lambda f: interpolated(f, zoom),
        forward=BinnedForward(psf, zoom),
        zoom=zoom,
        effective_psf=gathered(psf, zoom),
        image_variance=None,
    )

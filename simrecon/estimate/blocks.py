"""Sums over blocks of the field, between which noise and objects are nearly independent."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simrecon.estimate.rows import BandImages

SMOOTH_SHARE = 0.75**2


@dataclass(frozen=True)
class Blocks:
    """Square blocks of the padded field, on its raw and on its coarse grid.

    Attributes
    ----------
    raw, coarse : (ndarray, ndarray)
        First row of every block row, first column of every block column.
    padded : (int, int)
        Size of the padded raw field.
    """

    raw: tuple[np.ndarray, np.ndarray]
    coarse: tuple[np.ndarray, np.ndarray]
    padded: tuple[int, int]

    @classmethod
    def on(cls, images: BandImages) -> Blocks:
        """A tenth of the shorter side, 6 to 64 raw pixels."""
        padded, shape = images.field.window.padded.shape, images.field.shape
        edge = int(np.clip(min(padded) // 10, 6, 64))
        raw = [np.arange(0, n, edge) for n in padded]
        coarse = [
            np.round(r * m / n).astype(np.intp) for r, m, n in zip(raw, shape, padded, strict=True)
        ]
        return cls((raw[0], raw[1]), (coarse[0], coarse[1]), padded)

    def sums(self, images: np.ndarray) -> np.ndarray:
        """Sums over blocks of images on the coarse grid, (…, blocks)."""
        return _sums(images, self.coarse)

    def smooth_sums(self, images: np.ndarray) -> np.ndarray:
        """Sums weighted with overlapping sin² windows that add up to one, (…, windows).

        For products that oscillate: edges of blocks would cut their waves. The squares of white
        noise in these sums add up to `SMOOTH_SHARE` of those of its pixels.
        """
        along = [
            _partition(start, n) for start, n in zip(self.coarse, images.shape[-2:], strict=True)
        ]
        sums = along[0] @ images @ along[1].T
        flat: np.ndarray = sums.reshape(*images.shape[:-2], -1)
        return flat

    def sums_raw(self, image: np.ndarray) -> np.ndarray:
        """The same of a raw image (Y, X)."""
        pad = [(0, n - m) for n, m in zip(self.padded, image.shape, strict=True)]
        return _sums(np.pad(image, pad), self.raw)


def _partition(starts: np.ndarray, size: int) -> np.ndarray:
    """sin² windows over two neighbouring blocks each, (blocks, size) float32; periodic."""
    count = starts.size
    position = np.interp(np.arange(size), np.append(starts, size), np.arange(count + 1.0))
    away = np.abs((position[None, :] - np.arange(count)[:, None] + count / 2) % count - count / 2)
    windows: np.ndarray = np.where(away < 1, np.cos(0.5 * np.pi * away) ** 2, 0.0)
    return windows.astype(np.float32)


def _sums(images: np.ndarray, starts: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    for axis, start in zip((-2, -1), starts, strict=True):
        images = np.add.reduceat(images, start, axis=axis)
    flat: np.ndarray = images.reshape(*images.shape[:-2], -1)
    return flat


def coarse_image(values: np.ndarray, mirrored: np.ndarray, images: BandImages) -> np.ndarray:
    """Coarse image of a spectrum given at k and, through its mirror band, at −k."""
    shape = images.field.shape
    spectrum = np.zeros((*values.shape[:-1], shape[0] * shape[1]), dtype=np.complex64)
    spectrum[..., images.half.index] = values
    spectrum[..., images.half.mirrored] = np.conj(mirrored)
    return images.field.inverse(spectrum)

"""Noise-free raw frames of a known object: modulate, convolve, sample.

The slow and obvious forward model, on a grid finer than the camera's. It shares no code with
the reconstruction, whose own forward model is tested against it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.fft

from simrecon.backend import usable_cores
from simrecon.errors import UsageError
from simrecon.model.grid import Grid
from simrecon.model.pattern import DirectionPattern
from simrecon.model.psf import DetectionOTF
from simrecon.physics.otf import evaluate_otf


@dataclass(frozen=True)
class FineField:
    """The object's field: the camera's plus a margin on every side, `fine` pixels per camera pixel.

    Attributes
    ----------
    camera : Grid
        Raw grid; its pixel (0, 0) is the origin.
    fine : int
        Fine pixels per camera pixel.
    margin : int
        Camera pixels of object beyond each edge of the field.
    """

    camera: Grid
    fine: int
    margin: int

    def __post_init__(self) -> None:
        if self.fine < 1 or self.margin < 0:
            raise UsageError("fine must be at least 1 and margin at least 0.")

    @property
    def padded(self) -> Grid:
        """Camera grid with the margin."""
        c = self.camera
        return Grid(
            (c.shape[0] + 2 * self.margin, c.shape[1] + 2 * self.margin),
            c.pixel_um,
            c.offset_um - self.margin * c.pixel_um,
        )

    @property
    def grid(self) -> Grid:
        """Fine grid over the padded field, edge to edge with its camera pixels."""
        return self.padded.zoomed(self.fine)

    def crop_to_camera(self, fine_image: np.ndarray) -> np.ndarray:
        """The part of a fine image that the camera sees, shape camera.shape * fine."""
        m = self.margin * self.fine
        rows, columns = (n * self.fine for n in self.camera.shape)
        return fine_image[m : m + rows, m : m + columns]


class Detector:
    """Convolution with the detection OTF and sampling at camera pixel centres.

    The field wraps around at its outer edge; the margin keeps that away from the camera.
    """

    def __init__(self, field: FineField, otf: DetectionOTF) -> None:
        self.field = field
        grid = field.grid
        ky = np.fft.fftfreq(grid.shape[0], grid.pixel_um)[:, None]
        kx = np.fft.rfftfreq(grid.shape[1], grid.pixel_um)[None, :]
        shift = (0.5 - 0.5 / field.fine) * field.camera.pixel_um  # camera centre - fine centre
        ramp_y, ramp_x = np.exp(2j * np.pi * ky * shift), np.exp(2j * np.pi * kx * shift)
        self._transfer = (evaluate_otf(otf, ky, kx) * ramp_y * ramp_x).astype(np.complex64)

    def __call__(self, density: np.ndarray) -> np.ndarray:
        """Image (Y, X), float32, of a density given on the fine grid (same units)."""
        grid = self.field.grid
        if density.shape != grid.shape:
            raise UsageError(
                "The object is not on the fine grid.",
                expected=str(grid.shape),
                got=str(density.shape),
            )
        workers = usable_cores()
        spectrum = scipy.fft.rfft2(density.astype(np.float32, copy=False), workers=workers)
        spectrum *= self._transfer
        image = scipy.fft.irfft2(spectrum, s=grid.shape, workers=workers)
        m, f = self.field.margin * self.field.fine, self.field.fine
        rows, columns = (n * f for n in self.field.camera.shape)
        return np.ascontiguousarray(image[m : m + rows : f, m : m + columns : f])


def illumination(
    grid: Grid,
    frequency_per_um: tuple[float, float],
    phase_rad: float,
    modulation: Sequence[float],
    intensity: float = 1.0,
) -> np.ndarray:
    """Relative excitation intensity·(1 + Σ_m modulation_m cos(2π m p·r + m φ)) at grid points.

    Parameters
    ----------
    grid
        Where; positions count from the centre of raw pixel (0, 0).
    frequency_per_um
        Fundamental [fy, fx], cycles/µm.
    phase_rad
        Phase of the fundamental at the origin.
    modulation
        Contrast of order 1, 2, …

    Returns
    -------
    ndarray, grid.shape, float32
    """
    y, x = grid.positions_um()
    fy, fx = frequency_per_um
    total = np.full(grid.shape, intensity, dtype=np.float32)
    for order, contrast in enumerate(modulation, start=1):
        wave_y = np.exp(1j * order * (2.0 * np.pi * fy * y + phase_rad))
        wave_x = intensity * contrast * np.exp(2j * np.pi * order * fx * x)
        total += (wave_y.real * wave_x.real - wave_y.imag * wave_x.imag).astype(np.float32)
    return total


def expected_frames(
    density: np.ndarray,
    directions: Sequence[DirectionPattern],
    detector: Detector,
) -> np.ndarray:
    """Noise-free frames of an object under patterned light.

    Parameters
    ----------
    density : ndarray on ``detector.field.grid``
        Object in electrons per raw pixel area.
    directions
        Patterns; each gives one frame per entry of `phase_rad`.

    Returns
    -------
    ndarray, shape (A, P, Y, X), float32
        Expected electrons.
    """
    grid = detector.field.grid
    frames = []
    for d in directions:
        intensity = d.intensity or (1.0,) * len(d.phase_rad)
        frames.append(
            [
                detector(density * illumination(grid, d.frequency_per_um, phase, d.modulation, g))
                for phase, g in zip(d.phase_rad, intensity, strict=True)
            ]
        )
    return np.asarray(frames, dtype=np.float32)

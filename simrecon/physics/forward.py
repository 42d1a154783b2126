"""Noise-free raw frames of a known object: modulate, convolve, sample.

The slow and obvious forward model, on a grid finer than the camera's. It shares no code with
the reconstruction, whose own forward model is tested against it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.fft
from scipy.ndimage import fourier_shift

from simrecon.backend import usable_cores
from simrecon.errors import UsageError
from simrecon.model.grid import Grid
from simrecon.model.pattern import DirectionPattern
from simrecon.model.psf import DetectionOTF
from simrecon.physics.illumination import illumination
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
    """Convolution with an OTF and sampling at the pixel centres of the camera, or of an SR grid.

    The field wraps around at its outer edge; the margin keeps that away from the camera.

    Parameters
    ----------
    field
        Where the objects are given.
    otf
        Detection OTF.
    zoom
        Sample the SR grid of this zoom; it must divide ``field.fine``.
    """

    def __init__(self, field: FineField, otf: DetectionOTF, *, zoom: int = 1) -> None:
        if zoom < 1 or field.fine % zoom:
            raise UsageError(
                "zoom must divide the number of fine pixels per camera pixel.",
                expected=f"a divisor of {field.fine}",
                got=str(zoom),
            )
        self.field = field
        self.zoom = zoom
        grid = field.grid
        ky = np.fft.fftfreq(grid.shape[0], grid.pixel_um)[:, None]
        kx = np.fft.rfftfreq(grid.shape[1], grid.pixel_um)[None, :]
        # from the centre of the first fine pixel in a sample to the centre of the sample
        shift = (0.5 / zoom - 0.5 / field.fine) * field.camera.pixel_um
        ramp_y, ramp_x = np.exp(2j * np.pi * ky * shift), np.exp(2j * np.pi * kx * shift)
        self._transfer = (evaluate_otf(otf, ky, kx) * ramp_y * ramp_x).astype(np.complex64)

    def __call__(self, density: np.ndarray) -> np.ndarray:
        """Image (zoom·Y, zoom·X), float32, of a density on the fine grid (same units)."""
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
        step = self.field.fine // self.zoom
        return np.ascontiguousarray(self.field.crop_to_camera(image)[::step, ::step])


def expected_frames(
    density: np.ndarray,
    directions: Sequence[DirectionPattern],
    detector: Detector,
    *,
    simultaneous: bool = False,
) -> np.ndarray:
    """Noise-free frames of an object under patterned light; it moves as the patterns' drift says.

    Parameters
    ----------
    density : ndarray on ``detector.field.grid``
        Object in electrons per raw pixel area.
    directions
        Patterns; each gives one frame per entry of `phase_rad`.
    simultaneous
        The directions light the same frames: their modulated parts add.

    Returns
    -------
    ndarray, shape (A, P, Y, X), float32
        Expected electrons; A is 1 for simultaneous directions.
    """
    grid = detector.field.grid
    frames = []
    for together in [tuple(directions)] if simultaneous else [(d,) for d in directions]:
        first = together[0]
        drift = first.drift_um or ((0.0, 0.0),) * len(first.phase_rad)
        own = []
        for j, (g, u) in enumerate(zip(first.intensity, drift, strict=True)):
            lit = np.full(grid.shape, g * (1 - len(together)), dtype=np.float32)
            for d in together:
                lit += illumination(
                    grid, d.frequency_per_um, d.phase_rad[j], d.modulation, g, d.local
                )
            own.append(detector(displaced(density, u, grid.pixel_um) * lit))
        frames.append(own)
    return np.asarray(frames, dtype=np.float32)


def displaced(density: np.ndarray, shift_um: tuple[float, float], pixel_um: float) -> np.ndarray:
    """A density moved by (y, x) µm, float32; what leaves the field comes back at its other side."""
    if shift_um == (0.0, 0.0):
        return density
    spectrum = scipy.fft.rfft2(density.astype(np.float32, copy=False), workers=usable_cores())
    shift_px = [u / pixel_um for u in shift_um]
    moved = fourier_shift(spectrum, shift_px, n=density.shape[1])
    image = scipy.fft.irfft2(moved, s=density.shape, workers=usable_cores())
    return np.asarray(image, dtype=np.float32)

"""PSFs of plain pictures: from optics or from a file, on the picture's grid."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

import numpy as np

from simrecon.errors import MetadataError
from simrecon.io import read_otf
from simrecon.model.optics import Optics
from simrecon.model.psf import DetectionOTF
from simrecon.physics.otf import evaluate_otf, ideal_otf, theoretical_otf
from zsdeconv.upsampling import gathering

Microscope = Literal["widefield", "confocal", "two-photon"]
MICROSCOPES: tuple[str, ...] = get_args(Microscope)
SIZE_PX = 49
"""Side of a PSF on the picture's grid: the padding of a field is as wide as half of it."""
_FINE = 4


def psf_size(zoom: int) -> int:
    """Side of a PSF on a grid `zoom` times finer than the picture's: as wide in the sample."""
    return zoom * (SIZE_PX - 1) + 1


def psf_of_otf(otf: DetectionOTF, pixel_um: float, zoom: int = 1) -> np.ndarray:
    """PSF of an OTF on the picture's grid or a finer one, centred, sum 1.

    The OTF holds the camera's pixels; on a finer grid the forward model gathers them, and their
    share is taken out. A grid of twice the size is evaluated, so that the tails do not wrap round.
    """
    size = psf_size(zoom)
    n = 2 * size + 1
    k = np.fft.fftfreq(n, pixel_um / zoom)
    transfer = evaluate_otf(otf, k[:, None], k[None, :]) / gathering((n, n), zoom)
    psf = np.fft.fftshift(np.fft.ifft2(transfer).real)
    low = n // 2 - size // 2
    inner = psf[low : low + size, low : low + size]
    return np.asarray(inner / inner.sum())


def theoretical_psf(
    optics: Optics, pixel_um: float, microscope: Microscope, zoom: int = 1
) -> np.ndarray:
    """In-focus PSF of a perfect objective, integrated over the grid's pixels, as `psf_of_otf`.

    widefield
        The engine's theoretical OTF at the emission wavelength (also right for TIRF).
    confocal
        Scalar PSF at the excitation times that at the emission, the latter smoothed by a pinhole
        of one Airy unit.
    two-photon
        Square of the scalar PSF at the excitation wavelength.

    Raises
    ------
    MetadataError
        Confocal or two-photon without an excitation wavelength.
    """
    if microscope == "widefield":
        return psf_of_otf(theoretical_otf(optics, pixel_um=pixel_um), pixel_um, zoom)
    if optics.excitation_nm is None:
        raise MetadataError(
            f"The PSF of a {microscope} microscope needs the excitation wavelength.",
            expected="--excitation-nm",
            where="--microscope",
        )
    excitation = 2.0 * optics.na / (optics.excitation_nm * 1e-3)
    size = psf_size(zoom)
    fine = pixel_um / zoom / _FINE
    lit = _fine_psf(excitation, fine, size)
    if microscope == "two-photon":
        return _on_pixels(lit**2, size)
    airy_um = 0.61 * optics.emission_nm * 1e-3 / optics.na
    seen = _fine_psf(optics.cutoff_per_um, fine, size, pinhole_um=airy_um)
    return _on_pixels(lit * seen, size)


def _fine_psf(
    cutoff_per_um: float, pixel_um: float, size: int, pinhole_um: float = 0.0
) -> np.ndarray:
    """Scalar PSF on a grid for `_on_pixels`, optionally smoothed by a disc of this radius."""
    n = _FINE * (2 * size + 1)
    k = np.fft.fftfreq(n, pixel_um)
    transfer = ideal_otf(np.hypot(k[:, None], k[None, :]) / cutoff_per_um).astype(complex)
    if pinhole_um > 0:
        r = (np.arange(n) - n // 2) * pixel_um
        disc = (np.hypot(r[:, None], r[None, :]) <= pinhole_um).astype(float)
        transfer *= np.fft.fft2(np.fft.ifftshift(disc / disc.sum()))
    return np.maximum(np.fft.fftshift(np.fft.ifft2(transfer).real), 0.0)


def _on_pixels(fine: np.ndarray, size: int) -> np.ndarray:
    """Integral over square pixels centred on the fine grid's centre, cropped, sum 1."""
    n = len(fine)
    box = np.sinc(np.fft.fftfreq(n) * _FINE)
    blurred = np.asarray(np.fft.ifft2(np.fft.fft2(fine) * np.outer(box, box)).real)
    reach = _FINE * (size // 2)
    places = slice(n // 2 - reach, n // 2 + reach + 1, _FINE)
    psf = np.maximum(blurred[places, places], 0.0)
    return np.asarray(psf / psf.sum())


def read_psf(
    path: Path,
    optics: Optics | None,
    pixel_um: float,
    psf_pixel_um: float | None = None,
    zoom: int = 1,
) -> tuple[np.ndarray, str]:
    """PSF or OTF file on the picture's grid or a finer one, and what it is.

    A PSF picture is centred, its background removed, and it is sampled anew at the picture's
    pixel; its width must fit the optics.

    Raises
    ------
    InputError, MetadataError
        See :func:`simrecon.io.read_otf`.
    """
    otf = read_otf(path, optics, pixel_um=psf_pixel_um)
    return psf_of_otf(otf, pixel_um, zoom), f"{otf.source}, cut-off {otf.cutoff_per_um:.3g} per µm"

"""PSFs of volumes: from optics or from a file, on the volume's grid, centred."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from scipy.ndimage import map_coordinates

from simrecon.errors import InputError, MetadataError
from simrecon.io import read_raw
from simrecon.model.grid import Grid
from simrecon.model.optics import Optics
from simrecon.physics.pupil import pupil_psf
from zsdeconv.volume_files import VolumeFile

Microscope = Literal["widefield", "confocal"]
SIDE_PX = 65
_LEAST_PLANES, _MOST_PLANES = 9, 41
_COARSER = 1.05


def volume_psf(
    found: VolumeFile,
    microscope: Microscope,
    file: Path | None,
    psf_pixel_um: float | None,
    psf_dz_um: float | None,
) -> tuple[np.ndarray, str]:
    """The PSF of a volume, from `file` or from its optics, and a sentence that says which.

    Raises
    ------
    InputError
        See :func:`read_volume_psf`.
    MetadataError
        No file, and not enough is known to compute one.
    """
    if file is not None:
        return read_volume_psf(file, found.pixel_um, found.dz_um, psf_pixel_um, psf_dz_um)
    if found.optics is None:
        raise MetadataError(
            "The PSF cannot be computed: NA or emission wavelength are not known.",
            expected="--na and --emission-nm, or --psf FILE", where=str(found.path),
        )  # fmt: skip
    optics = found.optics
    psf = theoretical_volume_psf(optics, found.pixel_um, found.dz_um, len(found.counts), microscope)
    said = f"PSF: computed, {microscope}, NA {optics.na:g}, index {optics.immersion_index:g}"
    return psf, said


def theoretical_volume_psf(
    optics: Optics, pixel_um: float, dz_um: float, planes: int, microscope: Microscope
) -> np.ndarray:
    """PSF of a perfect objective, (odd, SIDE_PX, SIDE_PX), sum 1.

    widefield
        The engine's pupil PSF at the emission wavelength.
    confocal
        That times the pupil PSF at the excitation wavelength (closed pinhole).

    Parameters
    ----------
    planes
        Of the volume: the PSF reaches as far to either side, between 4 and 20 planes.

    Raises
    ------
    MetadataError
        Confocal without an excitation wavelength.
    """
    count = int(np.clip(2 * planes - 1, _LEAST_PLANES, _MOST_PLANES))
    z_um = [(i - count // 2) * dz_um for i in range(count)]
    grid = Grid((SIDE_PX, SIDE_PX), pixel_um)
    psf = pupil_psf(optics, grid, z_um=z_um).astype(np.float64)
    if microscope == "confocal":
        if optics.excitation_nm is None:
            raise MetadataError(
                "The PSF of a confocal microscope needs the excitation wavelength.",
                expected="--excitation-nm",
                where="--microscope",
            )
        lit = Optics(optics.na, optics.excitation_nm, optics.immersion_index)
        psf = psf * pupil_psf(lit, grid, z_um=z_um)
    if optics.pixel_integration:
        box = np.sinc(np.fft.fftfreq(SIDE_PX))
        psf = np.fft.ifft2(np.fft.fft2(psf) * np.outer(box, box)).real
    psf = np.maximum(psf, 0.0)
    return np.asarray(psf / psf.sum())


def read_volume_psf(
    path: Path, pixel_um: float, dz_um: float, psf_pixel_um: float | None, psf_dz_um: float | None
) -> tuple[np.ndarray, str]:
    """A measured PSF (a bead's stack) on the volume's grid, and a sentence on what was done.

    Its background (the median of its outermost pixels) is removed, what is then negative is
    noise of dark voxels and set to 0; its centre of light put on the
    middle voxel, and it is sampled anew at the volume's spacings.

    Parameters
    ----------
    psf_pixel_um, psf_dz_um
        Its own spacings [None: as its file says, else as the volume].

    Raises
    ------
    InputError
        Not a stack, not finite, no light, or sampled more coarsely than the volume.
    """
    raw = read_raw(path)
    stack = np.asarray(raw.frames, dtype=np.float64)
    stack = stack.reshape(-1, *stack.shape[-2:])
    if min(stack.shape) < 3 or not np.isfinite(stack).all():
        raise InputError(
            "This is not the stack of a PSF.", expected="at least 3 × 3 × 3 finite values",
            got=f"{stack.shape}", where=str(path),
        )  # fmt: skip
    pixel = psf_pixel_um or raw.pixel_um or pixel_um
    dz = psf_dz_um or raw.dz_um or dz_um
    if pixel > _COARSER * pixel_um or dz > _COARSER * dz_um:
        raise InputError(
            "The PSF is sampled more coarsely than the volume.",
            expected=f"at most {dz_um:g} × {pixel_um:g} × {pixel_um:g} µm",
            got=f"{dz:g} × {pixel:g} × {pixel:g} µm",
            where=str(path),
            hint="state its spacings with --psf-pixel-um and --psf-dz-um, or record it finer",
        )
    border = np.concatenate([stack[:, [0, -1]].ravel(), stack[:, :, [0, -1]].ravel()])
    stack = np.maximum(stack - np.median(border), 0.0)
    if not stack.max() > 0:
        raise InputError("The PSF has no light above its background.", where=str(path))
    centre = _centre(stack)
    steps = np.asarray((dz_um / dz, pixel_um / pixel, pixel_um / pixel))
    reach = [int(min(c, n - 1 - c) / s) for c, n, s in zip(centre, stack.shape, steps, strict=True)]
    reach[1:] = [min(r, SIDE_PX // 2) for r in reach[1:]]
    axes = [(np.arange(-r, r + 1)) * s + c for r, s, c in zip(reach, steps, centre, strict=True)]
    places = np.stack(np.meshgrid(*axes, indexing="ij"))
    psf = np.maximum(map_coordinates(stack, places, order=3, mode="nearest"), 0.0)
    said = f"PSF {path.name}: {dz:g} × {pixel:g} × {pixel:g} µm, on the volume's grid {psf.shape}"
    return psf / psf.sum(), said


def _centre(stack: np.ndarray) -> np.ndarray:
    """Centre of light of what is above half of the maximum, voxels."""
    core = np.where(stack >= 0.5 * stack.max(), stack, 0.0)
    places = np.indices(stack.shape).reshape(3, -1)
    return np.asarray(places @ core.ravel() / core.sum())

"""Optics, camera and noise of the pictures of a command."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from simrecon.config import Settings
from simrecon.errors import MetadataError
from simrecon.model.optics import Optics
from zsdeconv.camera_choice import given_camera
from zsdeconv.image_noise import PictureNoise, find_noise
from zsdeconv.image_psf import read_psf, theoretical_psf
from zsdeconv.imaging import Imaging
from zsdeconv.picture_files import PictureFile, each_picture
from zsdeconv.picture_options import PictureOptions

NOISE_PICTURES = 12


def known_facts(engine: Settings, raw: Any) -> dict[str, Any]:
    """Pixel, NA, wavelengths and index: what was given, else what the file says."""
    given = engine.reader_overrides()
    facts: dict[str, Any] = {
        k: given.get(k) if given.get(k) is not None else getattr(raw, k)
        for k in ("pixel_um", "na", "index")
    }
    for name in ("emission_nm", "excitation_nm"):
        value = given.get(name) or getattr(raw, name)
        facts[name] = float(value) if isinstance(value, int | float) else (value or (None,))[0]
    return facts


def imaging_of(
    files: Sequence[PictureFile], options: PictureOptions, engine: Settings
) -> tuple[Imaging, list[str]]:
    """Optics, camera and noise of the pictures, and notes for people.

    Raises
    ------
    MetadataError
        No pixel size, or neither PSF nor NA and wavelength.
    """
    facts = known_facts(engine, files[0].raw)
    pixel = facts["pixel_um"]
    if pixel is None:
        raise MetadataError(
            "The pixel size is neither in the file nor given.", expected="--pixel-um",
            where=str(files[0].path), hint="for example --pixel-um 0.065",
        )  # fmt: skip
    if facts["na"] is None or facts["emission_nm"] is None:
        raise MetadataError(
            "NA and emission wavelength are neither in the file nor given.",
            expected="--na and --emission-nm (they are needed with --psf too, to check it)",
            where=str(files[0].path),
            hint="for example --na 1.4 --emission-nm 525; they are on the objective and the filter",
        )
    optics = Optics(
        na=float(facts["na"]),
        emission_nm=float(facts["emission_nm"]),
        immersion_index=facts["index"] or 1.515,
        excitation_nm=facts["excitation_nm"],
    )
    if options.psf is not None:
        psf, source = read_psf(options.psf, optics, pixel, options.psf_pixel_um)
    else:
        psf, source = theoretical_psf(optics, pixel, options.microscope), "theoretical"
    cutoff = optics.cutoff_per_um
    if options.microscope == "two-photon" and optics.excitation_nm:
        cutoff = 4.0 * optics.na / (optics.excitation_nm * 1e-3)
    noise = noise_of(files, engine, cutoff * pixel)
    about = {
        **{k: v for k, v in facts.items() if k != "pixel_um"},
        "microscope": options.microscope,
        "psf_source": source,
        "noise_errors": noise.errors,
        "noise_colour": noise.colour.sentence(),
    }
    imaging = Imaging(
        pixel, psf, cutoff, noise.camera, noise.shot_noise, noise.kernel, about, noise.doubts
    )
    return imaging, [*noise.notes, *(f"doubt: {d}" for d in noise.doubts)]


def noise_of(files: Sequence[PictureFile], engine: Settings, cutoff_px: float) -> PictureNoise:
    """Camera given or estimated, and the whiteness test."""
    c = engine.camera
    shape = files[0].frames.shape[-2:]
    return find_noise(
        lambda: each_picture(files, NOISE_PICTURES),
        gain=c.gain,
        offset=c.offset,
        read_noise_e=c.read_noise_e,
        camera=given_camera(engine, (int(shape[0]), int(shape[1])))
        or (files[0].raw.camera if c.gain is None else None),
        cutoff_per_px=cutoff_px if cutoff_px < 0.5 else None,
    )

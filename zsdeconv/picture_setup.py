"""Optics, camera and noise of the pictures of a command."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from simrecon.config import Settings
from simrecon.errors import InputError, MetadataError
from zsdeconv.camera_choice import given_camera
from zsdeconv.file_optics import file_optics
from zsdeconv.fpn import FixedPattern, estimate_fixed_pattern, refuse_maps
from zsdeconv.image_noise import PictureNoise, find_noise
from zsdeconv.image_psf import read_psf, theoretical_psf
from zsdeconv.imaging import Imaging
from zsdeconv.picture_files import PictureFile, each_picture
from zsdeconv.picture_options import PictureOptions
from zsdeconv.sampling import check_sampling

NOISE_PICTURES = 12
CLIPPED_PIXELS, CLIPPED_SHARE = 4, 1e-4
"""Pixels at the ceiling that count: more than hot pixels make. Chosen, not measured."""
_BITS = (8, 10, 12, 14, 16)


def imaging_of(
    files: Sequence[PictureFile], options: PictureOptions, engine: Settings, zoom: int = 1
) -> tuple[Imaging, list[str]]:
    """Optics, camera and noise of the pictures, and notes for people.

    `zoom`: object pixels per camera pixel and axis.

    Raises
    ------
    MetadataError
        No pixel size, or neither PSF nor NA and wavelength.
    """
    facts = file_optics(engine, files[0].raw, options.channel)
    pixel, optics = facts.pixel_um, facts.optics()
    if pixel is None:
        raise MetadataError(
            "The pixel size is neither in the file nor given.", expected="--pixel-um",
            got=next((note for note in files[0].raw.notes if "pixel size" in note), None),
            where=str(files[0].path), hint="for example --pixel-um 0.065",
        )  # fmt: skip
    if optics is None:
        raise MetadataError(
            "NA and emission wavelength are neither in the file nor given.",
            expected="--na and --emission-nm (they are needed with --psf too, to check it)",
            where=str(files[0].path),
            hint="for example --na 1.4 --emission-nm 525; they are on the objective and the filter",
        )
    cutoff = optics.cutoff_per_um
    if options.microscope == "two-photon" and optics.excitation_nm:
        cutoff = 4.0 * optics.na / (optics.excitation_nm * 1e-3)
    coarse = check_sampling(pixel, cutoff, str(files[0].path))
    if options.psf is not None:
        psf, source = read_psf(options.psf, optics, pixel, options.psf_pixel_um, zoom)
    else:
        psf, source = theoretical_psf(optics, pixel, options.microscope, zoom), "theoretical"
    pattern = None
    if options.fixed_pattern == "auto":
        pattern = fixed_pattern_of(files, cutoff * pixel)
    noise = noise_of(files, engine, cutoff * pixel, pattern)
    if pattern is not None:
        refuse_maps(noise.camera)
    about: dict[str, Any] = {
        "na": facts.na, "index": facts.index,
        "emission_nm": facts.emission_nm, "excitation_nm": facts.excitation_nm,
        "microscope": options.microscope,
        "psf_source": source,
        "noise_errors": noise.errors,
        "noise_colour": noise.colour.sentence(),
    }  # fmt: skip
    imaging = Imaging(
        pixel, psf, cutoff, noise.camera, noise.shot_noise, noise.kernel, about, noise.doubts,
        zoom=zoom,
    )  # fmt: skip
    found = [doubt for doubt in (clipped_doubt(files), coarse) if doubt]
    if found:
        imaging = replace(imaging, doubts=(*imaging.doubts, *found))
    notes = [*noise.notes, *(f"doubt: {d}" for d in imaging.doubts)]
    if pattern is None:
        return imaging, notes
    about["fixed_pattern"] = pattern.to_dict()
    notes.append(about["fixed_pattern"]["said"])
    if pattern.found:
        imaging = replace(imaging, columns=pattern.columns, rows=pattern.rows)
    return imaging, notes


def clipped_doubt(files: Sequence[PictureFile]) -> str | None:
    """Why saturated pictures are doubtful: pixels at the ceiling of 8, 10, 12, 14 or 16 bits.

    The largest value of integer pictures must be such a ceiling; float pictures are not judged.
    """
    pictures = list(each_picture(files, NOISE_PICTURES))
    highest = max(float(p.max()) for p in pictures)
    whole = all(f.frames.dtype.kind in "ui" for f in files)
    if not whole or highest not in [2.0**bits - 1.0 for bits in _BITS]:
        return None
    count = sum(int(np.count_nonzero(p == highest)) for p in pictures)
    share = count / sum(p.size for p in pictures)
    if count < CLIPPED_PIXELS or share < CLIPPED_SHARE:
        return None
    return (
        f"clipped: {100 * share:.2g} % of the pixels are at {highest:.0f} counts, the camera's "
        "ceiling: their light is not known, and neither is what the result shows there"
    )


def fixed_pattern_of(files: Sequence[PictureFile], cutoff_px: float) -> FixedPattern:
    """Columns and rows that the pictures have in common, in counts.

    Raises
    ------
    InputError
        Pictures of different sizes: they are not of one camera window.
    """
    sizes = {tuple(int(n) for n in f.frames.shape[-2:]) for f in files}
    if len(sizes) > 1:
        raise InputError(
            "A fixed pattern belongs to one camera window.", expected="pictures of one size",
            got=", ".join(map(str, sorted(sizes))), where="--fixed-pattern",
        )  # fmt: skip
    pictures = np.stack(list(each_picture(files, NOISE_PICTURES)))
    return estimate_fixed_pattern(pictures, cutoff_px=cutoff_px if cutoff_px < 0.5 else None)


def noise_of(
    files: Sequence[PictureFile],
    engine: Settings,
    cutoff_px: float,
    pattern: FixedPattern | None = None,
) -> PictureNoise:
    """Camera given or estimated, and the whiteness test, both without the fixed pattern."""
    c = engine.camera
    shape = files[0].frames.shape[-2:]
    lines = 0.0 if pattern is None else pattern.columns[None, :] + pattern.rows[:, None]
    return find_noise(
        lambda: (p - lines for p in each_picture(files, NOISE_PICTURES)),
        gain=c.gain,
        offset=c.offset,
        read_noise_e=c.read_noise_e,
        camera=given_camera(engine, (int(shape[0]), int(shape[1])))
        or (files[0].raw.camera if c.gain is None else None),
        cutoff_per_px=cutoff_px,
    )

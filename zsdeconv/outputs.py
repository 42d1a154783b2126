"""Files of an enhancement: the same names wherever one is written; all of them, or none."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from simrecon.errors import InputError
from simrecon.io import write_image, write_json, write_pattern
from zsdeconv.checkpoint import FACTS_FILE, MODEL_FILE, STATE_FILE
from zsdeconv.enhancement import Enhanced, save_model
from zsdeconv.figures import overview
from zsdeconv.figures_volume import volume_overview

MODEL_FOLDER = "model"
PICTURES = ("sim", "image", "variance", "denoised", "deconvolved", "uncertainty", "consistency")
ISOTROPIC = "isotropic.ome.tif"
OVERVIEW, PATTERN, QC = "overview.png", "pattern.json", "qc.json"


def check_folder(folder: Path) -> Path:
    """Prove that the folder, or the one that it will be made in, can be written.

    Nothing is left behind: the folder is made when there is something to put into it.

    Raises
    ------
    InputError
        When it cannot.
    """
    existing = folder.absolute()
    while not existing.exists():
        existing = existing.parent
    if not existing.is_dir():
        raise InputError(
            "The output is a folder, and a file stands in its place.", expected="a folder, or a "
            "name that is free", got=f"{existing} is a file", where=str(folder),
            hint="give the name of a folder with -o",
        )  # fmt: skip
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        raise InputError(
            "The output folder cannot be written.", expected="a writable folder",
            got=error.strerror or str(error), where=str(folder),
            hint="give another folder with -o, or make this one writable",
        ) from error  # fmt: skip
    return folder


def output_paths(folder: Path) -> list[Path]:
    """Every file that an enhancement may write into its folder."""
    names = [f"{name}.ome.tif" for name in PICTURES]
    model = [f"{MODEL_FOLDER}/{name}" for name in (MODEL_FILE, STATE_FILE, FACTS_FILE)]
    return [folder / name for name in (*names, ISOTROPIC, OVERVIEW, PATTERN, QC, *model)]


def write_enhanced(
    enhanced: Enhanced, folder: Path, *, provenance: Mapping[str, Any], title: str = ""
) -> list[Path]:
    """Write pictures, overview, pattern, numbers and model; returns their paths.

    Everything is made in a hidden folder first and then moved into place.
    """
    check_folder(folder)
    folder.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=".part-", dir=folder))
    plain = enhanced.reconstruction is None
    name, words = ("image", "image") if plain else ("sim", "SIM image")
    pictures: dict[str, tuple[np.ndarray | None, float, str]] = {
        name: (enhanced.image, enhanced.pixel_um, f"{words}, e per raw pixel area"),
        "variance": (enhanced.image_variance, enhanced.pixel_um, f"variance of the {words}, e²"),
        "denoised": (enhanced.denoised, enhanced.pixel_um, f"denoised {words}, e"),
        "deconvolved": (enhanced.deconvolved, enhanced.pixel_um, "object as it is shown, e"),
        "uncertainty": (enhanced.uncertainty, enhanced.pixel_um, "standard error of it, e"),
        "consistency": (enhanced.consistency, enhanced.raw_pixel_um, "χ² of the raw frames"),
    }
    try:
        for name, (image, pixel_um, quantity) in pictures.items():
            if image is not None:
                facts = {**provenance, "quantity": quantity}
                write_image(
                    staging / f"{name}.ome.tif", image, pixel_um=pixel_um, dz_um=enhanced.dz_um,
                    provenance=facts,
                )  # fmt: skip
        draw = overview if enhanced.dz_um is None else volume_overview
        draw(enhanced, staging / OVERVIEW, title=title)
        write_json(staging / QC, {**enhanced.qc, "provenance": dict(provenance)})
        if enhanced.reconstruction is not None:
            write_pattern(staging / PATTERN, enhanced.reconstruction.pattern)
        save_model(enhanced, staging / MODEL_FOLDER)
        written = []
        for file in sorted(p for p in staging.rglob("*") if p.is_file()):
            target = folder / file.relative_to(staging)
            target.parent.mkdir(exist_ok=True)
            os.replace(file, target)
            written.append(target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return written

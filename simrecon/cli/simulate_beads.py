"""``simrecon simulate --kind bead-stack``: a z-stack of beads to measure a PSF with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from simrecon.backend import Device
from simrecon.cli.outputs import check_output, split_output, staging
from simrecon.errors import UsageError
from simrecon.io import write_json, write_raw
from simrecon.model.camera import Camera
from simrecon.model.optics import Optics
from simrecon.model.stack import SimStack
from simrecon.physics.simulate_beads import scattered_beads, simulate_beads
from simrecon.provenance import record
from simrecon.shell import Reporter, command_line


def aberrations_of(texts: Sequence[str] | None) -> dict[int, float]:
    """``NOLL=NM`` texts as a mapping.

    Raises
    ------
    UsageError
        For a text that is no such pair.
    """
    found: dict[int, float] = {}
    for text in texts or ():
        index, _, value = text.partition("=")
        try:
            found[int(index)] = float(value)
        except ValueError as error:
            raise UsageError(
                "Cannot read an aberration.", expected="NOLL=NM, for example 11=30", got=text,
                where="--aberration",
            ) from error  # fmt: skip
    return found


def simulate_bead_stack(
    report: Reporter,
    device: Device,
    output: Path,
    *,
    size: int,
    planes: int,
    pixel_um: float,
    dz_um: float,
    optics: Optics,
    bead_um: float,
    peak_e: float,
    background_e: float,
    aberrations_nm: dict[int, float],
    camera: Camera,
    seed: int,
) -> None:
    """Write OUT (counts) and OUT.truth.json (beads, aberrations, optics)."""
    check_output(output, ())
    stem, suffix = split_output(output)
    beads = scattered_beads(
        (planes, size, size), pixel_um=pixel_um, dz_um=dz_um, optics=optics, bead_um=bead_um,
        peak_e=peak_e, aberrations_nm=aberrations_nm, seed=seed,
    )  # fmt: skip
    counts = simulate_beads(
        beads, shape=(planes, size, size), pixel_um=pixel_um, dz_um=dz_um, optics=optics,
        bead_um=bead_um, aberrations_nm=aberrations_nm, background_e=background_e, camera=camera,
        seed=seed,
    )  # fmt: skip
    truth: dict[str, Any] = {
        "pixel_um": pixel_um, "dz_um": dz_um, "bead_um": bead_um, "optics": asdict(optics),
        "aberrations_nm": aberrations_nm, "beads": [asdict(b) for b in beads],
        "camera": asdict(camera),
    }  # fmt: skip
    made = record(settings=truth, device=f"{device.label}: {device.reason}", seed=seed,
                  command=command_line("simrecon"))  # fmt: skip
    names = [f"{stem}{suffix}", f"{stem}.truth.json"]
    stack = SimStack(np.asarray(counts)[None, None, None, None], pixel_um, (optics,), camera,
                     dz_um if planes > 1 else None, "ZPA")  # fmt: skip
    with staging(output) as folder:
        write_raw(folder / names[0], stack, provenance=made)
        write_json(folder / names[1], truth)
    files = [str(output.parent / name) for name in names]
    report.finish({"files": files}, "\n".join(f"wrote {name}" for name in files))

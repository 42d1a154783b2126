"""``simrecon simulate --kind sim-beads``: SIM recordings of beads to measure an OTF with."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from simrecon.backend import Device
from simrecon.cli.outputs import check_output, split_output, staging
from simrecon.errors import UsageError
from simrecon.io import write_json, write_pattern, write_raw
from simrecon.model.camera import Camera
from simrecon.model.optics import Optics
from simrecon.model.pattern import DirectionPattern, PatternFit
from simrecon.model.psf import AnyOTF
from simrecon.model.stack import SimStack
from simrecon.physics.illumination import regular_directions
from simrecon.physics.lattice import Lattice
from simrecon.physics.pupil_volume import (
    pupil_planar_otf,
    pupil_volume_otf,
    three_beam_profiles,
)
from simrecon.physics.simulate_beads import scattered_beads
from simrecon.physics.simulate_sim_beads import lit_beads, simulate_sim_beads
from simrecon.physics.simulate_volume import LATTICE
from simrecon.physics.simulate_volume_light import light_of, lit_directions
from simrecon.provenance import record
from simrecon.shell import Reporter, command_line

BeadMode = Literal["2d", "3d", "lls"]
_PLANES = {"2d": 1, "3d": 25, "lls": 33}
_DZ_UM = {"3d": 0.125, "lls": 0.15}
_SPACING_UM = 4.0
_PLANE_SPACING_UM = 2.5
_REACH_UM = 5.0
_CONTRAST = (0.85, 0.7, 0.55)


def aberrated_otf(
    mode: str, optics: Optics, pixel_um: float, dz_um: float, aberrations_nm: dict[int, float],
    lattice: Lattice = LATTICE, offset_um: float = 0.0,
) -> AnyOTF:  # fmt: skip
    """The OTF of a mode whose objective has these aberrations."""
    if mode not in ("3d", "lls"):
        return pupil_planar_otf(optics, pixel_um=pixel_um, aberrations_nm=aberrations_nm)
    light = lattice.profiles(offset_um=offset_um) if mode == "lls" else three_beam_profiles(optics)
    return pupil_volume_otf(optics, light, pixel_um=pixel_um, dz_um=dz_um,
                            aberrations_nm=aberrations_nm, reach_um=_REACH_UM)  # fmt: skip


def simulate_sim_bead_stack(
    report: Reporter,
    device: Device,
    output: Path,
    *,
    mode: BeadMode,
    size: int,
    planes: int | None,
    pixel_um: float | None,
    dz_um: float | None,
    optics: Optics,
    lattice: Lattice,
    period_um: float | None,
    angles: int | None,
    phases: int | None,
    modulation: list[float] | None,
    phase_jitter_rad: float,
    intensity_jitter: float,
    bead_um: float,
    peak_e: float,
    background_e: float,
    aberrations_nm: dict[int, float],
    camera: Camera,
    seed: int,
) -> None:
    """Write OUT (counts), OUT.truth.json (beads, aberrations) and OUT.pattern.json."""
    if mode not in _PLANES:
        raise UsageError("SIM beads are simulated for three modes.", expected="2d, 3d or lls",
                         got=mode, where="--mode")  # fmt: skip
    check_output(output, ())
    stem, suffix = split_output(output)
    if not suffix.startswith(".ome"):
        raise UsageError("Raw frames need their metadata.", expected=".ome.tif", got=suffix)
    volume = mode != "2d"
    pixel_um = pixel_um or {"2d": 0.065, "3d": 0.08, "lls": 0.104}[mode]
    step = (dz_um or _DZ_UM[mode]) if volume else None
    shape = (planes or _PLANES[mode], size, size)
    if (shape[0] > 1) != volume:
        raise UsageError("Beads of one plane belong to --mode 2d, a stack to 3d and lls.",
                         got=f"{shape[0]} planes", where="--planes")  # fmt: skip
    rng = np.random.default_rng(seed)
    jitter = {"phase_jitter_rad": phase_jitter_rad}
    if volume:
        frequency, contrast, _ = light_of(mode, optics, lattice, 0.0)
        directions = lit_directions(
            rng, angles or (1 if mode == "lls" else 3), phases or 5, frequency,
            contrast=modulation or contrast, first_angle_rad=0.0 if mode == "lls" else 0.25,
            phase_step_um=None, **jitter,
        )  # fmt: skip
    else:
        directions = tuple(regular_directions(
            rng, directions=angles or 3, phases=phases or 3, period_um=period_um or 0.21,
            modulation=tuple(modulation or _CONTRAST), first_angle_rad=0.25,
            intensity_jitter=0.0, bleaching=0.0, orders=lambda c: (c,), **jitter,
        ))  # fmt: skip
    directions = _flicker(directions, rng, intensity_jitter)
    otf = aberrated_otf(mode, optics, pixel_um, step or 1.0, aberrations_nm, lattice)
    beads = scattered_beads(
        shape, pixel_um=pixel_um, dz_um=step or 1.0, optics=optics, bead_um=bead_um, peak_e=1.0,
        spacing_um=_SPACING_UM if volume else _PLANE_SPACING_UM, seed=seed,
    )  # fmt: skip
    if not volume:
        beads = [replace(b, position_um=(0.0, *b.position_um[1:])) for b in beads]
    window = {"pixel_um": pixel_um, "bead_um": bead_um} | ({"dz_um": step} if step else {})
    beads = lit_beads(beads, peak_e, otf, **window)
    counts = simulate_sim_beads(
        beads, directions, otf, shape=shape, pixel_um=pixel_um, dz_um=step, bead_um=bead_um,
        background_e=background_e, camera=camera, seed=seed,
    )  # fmt: skip
    stack = SimStack(counts[None, None], pixel_um, (optics,), camera, step, "PZA" if volume else
                     "PA", metadata={"source": "simulate", "kind": "sim-beads", "mode": mode,
                                     "seed": seed}, notes=("simulated data",))  # fmt: skip
    truth: dict[str, Any] = {
        "pixel_um": pixel_um, "dz_um": step, "bead_um": bead_um, "optics": asdict(optics),
        "mode": mode, "aberrations_nm": aberrations_nm, "beads": [asdict(b) for b in beads],
        "camera": asdict(camera),
    }  # fmt: skip
    pattern = PatternFit(pixel_um, (size, size), directions,
                         notes=("simulated: these are the true values",))  # fmt: skip
    made = record(settings=truth, device=f"{device.label}: {device.reason}", seed=seed,
                  command=command_line("simrecon"))  # fmt: skip
    names = [f"{stem}{suffix}", f"{stem}.truth.json", f"{stem}.pattern.json"]
    with staging(output) as folder:
        write_raw(folder / names[0], stack, provenance=made)
        write_json(folder / names[1], truth)
        write_pattern(folder / names[2], pattern)
    files = [str(output.parent / name) for name in names]
    report.finish({"files": files}, "\n".join(f"wrote {name}" for name in files))


def _flicker(
    directions: tuple[DirectionPattern, ...], rng: np.random.Generator, jitter: float
) -> tuple[DirectionPattern, ...]:
    """Directions whose frames differ in brightness, mean 1 over all."""
    count = len(directions[0].phase_rad)
    bright = np.maximum(1.0 + jitter * rng.normal(size=(len(directions), count)), 0.05)
    bright = bright / bright.mean()
    return tuple(replace(d, intensity=tuple(float(v) for v in b))
                 for d, b in zip(directions, bright, strict=True))  # fmt: skip

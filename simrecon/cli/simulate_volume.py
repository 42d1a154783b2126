"""``simrecon simulate --mode 3d|lls``: raw volumes with known truth."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
from cyclopts import Parameter

from simrecon.backend import Device
from simrecon.cli.outputs import check_output, split_output, staging
from simrecon.cli.simulate_sim_beads import aberrated_otf
from simrecon.errors import UsageError
from simrecon.io import write_camera_record, write_image, write_pattern, write_raw
from simrecon.model.camera import Camera
from simrecon.model.optics import Optics
from simrecon.model.psf import GridVolumeOTF, VolumeOTF
from simrecon.physics.lattice import Lattice, LatticeKind
from simrecon.physics.simulate_camera import sensor
from simrecon.physics.simulate_volume import (
    LATTICE,
    OPTICS_3D,
    OPTICS_LLS,
    STAGE_ANGLE_RAD,
    simulate_volume,
)
from simrecon.physics.simulate_volume_light import acquisition_time
from simrecon.provenance import record
from simrecon.shell import Reporter, command_line

_T = TypeVar("_T")
_PSF_DZ_UM = 0.125
_PLANES = {"3d": 24, "lls": 48}


@Parameter(name="*")
@dataclass(frozen=True)
class VolumeOptions:
    """Options of --mode 3d and lls.

    Parameters
    ----------
    rows
        Rows of a frame [default: --size].
    acquisition
        Acquisition order, fastest first, for bleaching and drift.
    scan
        stage: the stage carries the sample through the focal plane at --stage-angle-deg.
    stage_angle_deg
        Angle between the stage's way and the focal plane [default: 32.45].
    lattice
        Kind of light sheet, lls only [default: square].
    lattice_na_max, lattice_na_min
        Annulus of the excitation objective [default: 0.46 and 0.36].
    sheet_offset_um
        Distance of the light sheet from the focal plane, µm, positive deeper.
    phase_step_um
        Way of the pattern from phase to phase, µm [default: a P-th of its period].
    scmos
        A camera whose pixels differ; writes OUT.camera.h5 too, to give with --camera.
    """

    rows: int | None = None
    acquisition: str = "PZA"
    scan: Literal["objective", "stage"] = "objective"
    stage_angle_deg: float | None = None
    lattice: LatticeKind | None = None
    lattice_na_max: float | None = None
    lattice_na_min: float | None = None
    sheet_offset_um: float = 0.0
    phase_step_um: float | None = None
    scmos: bool = False


def given(value: _T | None, usual: _T) -> _T:
    """A value, or what is usual where none was given."""
    return usual if value is None else value


def refuse_planar(**values: Any) -> None:
    """Refuse options that only 2-D simulations know."""
    for name, value in values.items():
        if value:
            raise UsageError(
                "This option belongs to --mode 2d.", where=f"--{name.replace('_', '-')}"
            )


def simulate_volume_stack(
    report: Reporter,
    device: Device,
    output: Path,
    options: VolumeOptions,
    *,
    mode: Literal["3d", "lls"],
    size: int,
    planes: int | None,
    na: float | None,
    index: float | None,
    emission_nm: float,
    excitation_nm: float,
    period_um: float | None,
    directions: int | None,
    phases: int | None,
    background_e: float,
    drift_um: float,
    aberrations_nm: dict[int, float],
    camera: Camera,
    seed: int,
    **known: Any,
) -> None:
    """Write OUT (counts), OUT.truth.tif (object), OUT.pattern.json and perhaps OUT.camera.h5."""
    check_output(output, ())
    stem, suffix = split_output(output)
    if not suffix.startswith(".ome"):
        raise UsageError("Raw frames need their metadata.", expected=".ome.tif", got=suffix)
    optics, light = _light(options, mode, _detection(mode, na, index, emission_nm, excitation_nm),
                           period_um)  # fmt: skip
    count = (given(directions, 3 if mode == "3d" else 1), given(phases, 5))
    shape = (given(planes, _PLANES[mode]), given(options.rows, size), size)
    if not np.isfinite(drift_um):
        raise UsageError("The drift must be finite.", got=str(drift_um), where="--drift-um")
    drift = None
    if drift_um:
        time = acquisition_time((*count, shape[0]), options.acquisition) - 0.5
        drift = time[..., None] * drift_um * np.sqrt([0.5, 0.5])
    arguments: dict[str, Any] = {
        **known, **light, "mode": mode, "shape": shape, "directions": count[0], "phases": count[1],
        "background": background_e, "order": options.acquisition, "seed": seed,
    }  # fmt: skip
    taken = _uneven(camera, shape[1:]) if options.scmos else camera
    otf = _aberrated(mode, optics, arguments, aberrations_nm) if aberrations_nm else None
    stack, truth = simulate_volume(
        optics=optics, camera=taken, drift_um=drift, otf=otf, **arguments
    )
    facts = {
        **arguments,
        "drift_um": drift_um,
        "aberrations_nm": aberrations_nm,
        "scmos": options.scmos,
        "optics": asdict(optics),
        "camera": asdict(camera),
    }
    if "lattice" in facts:
        facts["lattice"] = asdict(facts["lattice"])
    made = record(
        settings=facts, device=f"{device.label}: {device.reason}", seed=seed,
        command=command_line("simrecon"),
    )  # fmt: skip
    names = [f"{stem}{suffix}", f"{stem}.truth.tif", f"{stem}.pattern.json"]
    with staging(output) as folder:
        write_raw(folder / names[0], replace(stack, camera=camera), provenance=made)
        if options.scmos:
            names.append(f"{stem}.camera.h5")
            write_camera_record(
                folder / names[3], taken, instrument="simulated", created=made["created"]
            )
        about = {**made, "quantity": "object, photo-electrons per raw voxel"}
        fine = truth.grid.zoomed(2)
        write_image(folder / names[1], truth.object_e, pixel_um=fine.pixel_um,
                    dz_um=fine.dz_um, provenance=about)  # fmt: skip
        write_pattern(folder / names[2], truth.pattern)
    files = [str(output.parent / name) for name in names]
    lines = [f"note: {text}" for text in stack.notes] + [f"wrote {f}" for f in files]
    report.finish({"files": files, "notes": stack.notes}, "\n".join(lines))


def volume_optics(
    options: VolumeOptions,
    mode: str,
    *,
    na: float | None,
    index: float | None,
    emission_nm: float,
    excitation_nm: float,
    period_um: float | None,
) -> tuple[Optics, Lattice]:
    """Optics of a mode, and the lattice that its light is of (that of lls)."""
    if mode not in ("3d", "lls"):
        return Optics(given(na, 1.49), emission_nm, given(index, 1.515),
                      excitation_nm=excitation_nm), LATTICE  # fmt: skip
    detection = _detection(mode, na, index, emission_nm, excitation_nm)
    optics, light = _light(options, mode, detection, period_um)
    return optics, light.get("lattice", LATTICE)


def _detection(
    mode: str, na: float | None, index: float | None, emission_nm: float, excitation_nm: float
) -> Optics:
    usual = OPTICS_3D if mode == "3d" else OPTICS_LLS
    return replace(
        usual, na=given(na, usual.na), immersion_index=given(index, usual.immersion_index),
        emission_nm=emission_nm, excitation_nm=excitation_nm,
    )  # fmt: skip


def _aberrated(
    mode: str, optics: Optics, arguments: dict[str, Any], aberrations_nm: dict[int, float]
) -> VolumeOTF:
    usual_px, usual_dz = (0.08, 0.125) if mode == "3d" else (0.104, 0.15)
    found = aberrated_otf(
        mode, optics, given(arguments.get("pixel_um"), usual_px),
        min(given(arguments.get("dz_um"), usual_dz), _PSF_DZ_UM), aberrations_nm,
        arguments.get("lattice", LATTICE), arguments.get("sheet_offset_um", 0.0),
    )  # fmt: skip
    assert isinstance(found, GridVolumeOTF)
    return found


def _uneven(camera: Camera, shape: tuple[int, int]) -> Camera:
    """A camera of the same means whose offset, gain and read noise differ from pixel to pixel."""
    chip = sensor(shape, camera)
    return replace(chip.camera, gain=np.asarray(chip.camera.gain) * chip.response)


def _light(
    options: VolumeOptions, mode: str, optics: Optics, period_um: float | None
) -> tuple[Optics, dict[str, Any]]:
    """Optics with the excitation of three beams, and the arguments that the light needs."""
    angle = options.stage_angle_deg
    arguments: dict[str, Any] = {
        "scan": options.scan,
        "stage_angle_rad": STAGE_ANGLE_RAD if angle is None else float(np.radians(angle)),
        "phase_step_um": options.phase_step_um,
    }
    if mode == "3d":
        for name in ("lattice", "lattice_na_max", "lattice_na_min", "sheet_offset_um"):
            if getattr(options, name):
                flag = f"--{name.replace('_', '-')}"
                raise UsageError("Only --mode lls has a light sheet.", where=flag)
        if period_um is not None:
            if not period_um > 0:
                raise UsageError("The pattern period must be positive.", got=str(period_um))
            side_na = 1e-3 * (optics.excitation_nm or 0) / period_um
            if not side_na < optics.immersion_index:
                finest = 1e-3 * (optics.excitation_nm or 0) / optics.immersion_index
                raise UsageError(
                    "Three beams of this light cannot make so fine a pattern.",
                    expected=f"a fundamental period above {finest:.3f} µm: λ_ex / n",
                    got=f"{period_um:g} µm",
                    where="--period-um",
                    hint="of 3d the period is that of order 1; order 2 has half of it",
                )
            optics = replace(optics, excitation_na=side_na)
        return optics, arguments
    if period_um is not None:
        raise UsageError(
            "The period of a lattice follows from its annulus.", where="--period-um",
            hint="give --lattice-na-max and --lattice-na-min",
        )  # fmt: skip
    lattice = replace(
        LATTICE, kind=given(options.lattice, LATTICE.kind), index=optics.immersion_index,
        na_max=given(options.lattice_na_max, LATTICE.na_max),
        na_min=given(options.lattice_na_min, LATTICE.na_min),
        excitation_nm=optics.excitation_nm or LATTICE.excitation_nm,
    )  # fmt: skip
    return optics, {**arguments, "lattice": lattice, "sheet_offset_um": options.sheet_offset_um}

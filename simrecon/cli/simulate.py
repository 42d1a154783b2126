"""``simrecon simulate``: raw frames with known truth, to try things on."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from cyclopts import Parameter

from simrecon.backend import select_device
from simrecon.cli.outputs import check_output, split_output, staging
from simrecon.cli.simulate_beads import aberrations_of, simulate_bead_stack
from simrecon.cli.simulate_camera import simulate_camera_stack
from simrecon.cli.simulate_channels import ChannelOptions, simulate_channels
from simrecon.cli.simulate_light import LightOptions
from simrecon.cli.simulate_sim_beads import simulate_sim_bead_stack
from simrecon.cli.simulate_volume import (
    VolumeOptions,
    given,
    refuse_planar,
    simulate_volume_stack,
    volume_optics,
)
from simrecon.errors import UsageError
from simrecon.io import write_image, write_pattern, write_raw
from simrecon.model.camera import Camera
from simrecon.model.mode import steps_of
from simrecon.model.optics import Optics
from simrecon.physics.pupil_volume import pupil_planar_otf
from simrecon.physics.simulate import simulate as simulate_stack
from simrecon.provenance import record
from simrecon.shell import Reporter, command_line


def simulate(
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    kind: Literal[
        "filaments",
        "rings",
        "blobs",
        "beads",
        "mixed",
        "lines",
        "constant",
        "slide",
        "shells",
        "tubes",
        "dark",
        "flat",
        "bead-stack",
        "bead-channels",
        "sim-beads",
    ] = "mixed",
    mode: Literal["2d", "tirf", "slice3", "nonlinear", "hex", "3d", "lls"] = "2d",
    volume: VolumeOptions | None = None,
    frames: int = 100,
    planes: int | None = None,
    dz_um: float | None = None,
    bead_nm: float = 100.0,
    aberration: list[str] | None = None,
    channels: ChannelOptions | None = None,
    index: float | None = None,
    size: int = 256,
    pixel_um: float | None = None,
    na: float | None = None,
    emission_nm: float = 525.0,
    excitation_nm: float = 488.0,
    period_um: float | None = None,
    angles: int | None = None,
    phases: int | None = None,
    light: LightOptions | None = None,
    peak_e: float = 200.0,
    background_e: float = 2.0,
    modulation: list[float] | None = None,
    phase_jitter_rad: float = 0.0,
    intensity_jitter: float = 0.0,
    bleaching: float = 0.0,
    haze: float = 0.0,
    drift_um: float = 0.0,
    phase_bend_rad: list[float] | None = None,
    contrast_loss: list[float] | None = None,
    gain: float = 2.0,
    offset: float = 100.0,
    read_noise_e: float = 1.5,
    seed: int = 0,
    json: bool = False,
) -> None:
    """Simulate raw SIM frames; writes OUT, OUT.truth.tif and OUT.pattern.json.

    With --kind dark or flat: frames to calibrate a camera with; writes OUT and OUT.truth.h5. They
    have the fixed pattern of one camera whatever the seed; of the options only --size, --frames,
    --peak-e (light of flats), --intensity-jitter, the camera's and --seed matter.

    With --kind bead-stack: a z-stack of beads to measure a PSF with; writes OUT and OUT.truth.json.
    With --kind bead-channels: one plane of beads in two colours, for 'simcal registration'.
    With --kind sim-beads and --mode 2d, 3d or lls: SIM frames of beads, for 'simcal otf'.

    Parameters
    ----------
    output
        Raw frames to write, .ome.tif.
    kind
        Object (slide: an even fluorescent sheet); or dark or flat frames, a bead-stack,
        bead-channels or sim-beads. Volumes know mixed, filaments, shells, tubes, beads, constant.
    mode
        One plane: 2d, tirf, slice3 (three beams), nonlinear or hex (three carriers in the same
        frames). Volumes: 3d (three beams) or lls (lattice light sheet).
    frames
        Number of dark or flat frames.
    planes, dz_um
        Planes and their distance in µm, of beads or a volume [default: 17 and 0.2; 3d 24 and
        0.125; lls 48 and 0.15; sim-beads of 3d 25, of lls 33].
    bead_nm
        Diameter of beads, nm.
    aberration
        Of the objective: Noll index and rms wavefront in nm, e.g. --aberration 11=30; repeat it.
    channels
        Options of bead-channels.
    index
        Refractive index of the immersion [default: 1.515; lls 1.33].
    size
        Pixels per side.
    pixel_um
        Camera pixel in the sample, µm [default: 0.065; 3d 0.08; lls 0.104].
    na
        Numerical aperture of detection [default: 1.49; 3d 1.4; lls 1.1].
    emission_nm, excitation_nm
        Wavelengths, nm.
    period_um
        Period of the pattern's fundamental (order 1), µm [default: 0.21; slice3 0.42; coherent hex
        0.242; 3d 0.407]; the lattice's own in lls.
    angles, phases
        Pattern directions and phase steps [default: 3 and 3; slice3 and 3d 3 and 5; nonlinear 5 and
        5; hex 1 and 7; lls 1 and 5].
    peak_e
        Photo-electrons in the brightest places (99.9th percentile of the widefield).
    background_e
        Uniform unmodulated light, photo-electrons.
    modulation
        Contrast of the interference, one per direction; repeat the option [default: 0.85 0.7 0.55;
        slice3, nonlinear and hex 0.9]. In volumes one per order, 1 and 2 [default: 3d 0.9 0.6; lls
        the lattice's own].
    phase_jitter_rad, intensity_jitter
        Random errors of the phase steps (rad rms) and of the brightness of each frame (relative
        rms), independent from frame to frame; with flat frames the second is the lamp's flicker.
    bleaching
        Fraction of the brightness lost between the first and the last frame.
    haze
        Out-of-focus light, not modulated, relative to peak_e.
    drift_um
        Way of the sample from the first to the last frame at constant speed, along x = y, µm.
    phase_bend_rad, contrast_loss
        Pattern that varies over the field: how far its phase has turned (rad), and the share of its
        contrast that is lost (0 to 1), at the last row; both begin at a third of the height. One
        number, or repeat the option for one per direction [default: 0].
    gain, offset, read_noise_e
        Camera: counts per electron, counts without light, electrons rms.
    seed
        Seed of object, pattern and noise.
    json
        Write one JSON document to standard output.
    """
    report = Reporter(json)
    device = select_device("cpu")
    report.device(device)
    camera = Camera(gain, offset, read_noise_e, source="simulated")
    if kind in ("dark", "flat"):
        light_e = peak_e if kind == "flat" else 0.0
        simulate_camera_stack(
            report, device, output, size=size, frames=frames, light_e=light_e,
            flicker=intensity_jitter, camera=camera, seed=seed,
        )  # fmt: skip
        return
    waves = aberrations_of(aberration)
    if kind == "sim-beads":
        optics, lattice = volume_optics(
            volume or VolumeOptions(), mode, na=na, index=index, emission_nm=emission_nm,
            excitation_nm=excitation_nm, period_um=period_um,
        )  # fmt: skip
        refuse_planar(haze=haze, phase_bend_rad=phase_bend_rad, contrast_loss=contrast_loss,
                      drift_um=drift_um, bleaching=bleaching)  # fmt: skip
        simulate_sim_bead_stack(
            report, device, output, mode=mode, size=size, planes=planes,  # type: ignore[arg-type]
            pixel_um=pixel_um, dz_um=dz_um, optics=optics, lattice=lattice, period_um=period_um,
            angles=angles, phases=phases, modulation=modulation,
            phase_jitter_rad=phase_jitter_rad, intensity_jitter=intensity_jitter,
            bead_um=1e-3 * bead_nm, peak_e=peak_e, background_e=background_e,
            aberrations_nm=waves, camera=camera, seed=seed,
        )  # fmt: skip
        return
    if mode in ("3d", "lls"):
        if light is not None and light != LightOptions():
            raise UsageError("Options of one plane's light do not go with volumes.", got=mode)
        refuse_planar(haze=haze, phase_bend_rad=phase_bend_rad, contrast_loss=contrast_loss)
        simulate_volume_stack(
            report, device, output, volume or VolumeOptions(), mode=mode, kind=kind, size=size,
            planes=planes, pixel_um=pixel_um, dz_um=dz_um, na=na, index=index,
            emission_nm=emission_nm, excitation_nm=excitation_nm, period_um=period_um,
            directions=angles, phases=phases, modulation=modulation, peak_e=peak_e,
            background_e=background_e, phase_jitter_rad=phase_jitter_rad,
            intensity_jitter=intensity_jitter, bleaching=bleaching, drift_um=drift_um,
            aberrations_nm=waves, camera=camera, seed=seed,
        )  # fmt: skip
        return
    if volume is not None and volume != VolumeOptions():
        raise UsageError(
            "Options of volumes need --mode 3d or lls.", got=f"--mode {mode}", where="simulate"
        )
    if mode in ("2d", "tirf") and light is not None and light != LightOptions():
        raise UsageError(
            "Options of slice3, nonlinear or hex light have no effect here.",
            expected="--mode slice3, nonlinear or hex, or none of their options",
            got=f"--mode {mode}",
        )
    na, index = given(na, 1.49), given(index, 1.515)
    pixel_um = given(pixel_um, 0.065)
    if kind == "bead-stack":
        simulate_bead_stack(
            report, device, output, size=size, planes=given(planes, 17), pixel_um=pixel_um,
            dz_um=given(dz_um, 0.2),
            optics=Optics(na=na, emission_nm=emission_nm, immersion_index=index),
            bead_um=1e-3 * bead_nm, peak_e=peak_e, background_e=background_e,
            aberrations_nm=waves, camera=camera, seed=seed,
        )  # fmt: skip
        return
    if kind == "bead-channels":
        simulate_channels(
            report, device, output, channels or ChannelOptions(), size=size, pixel_um=pixel_um,
            optics=Optics(na=na, emission_nm=emission_nm, immersion_index=index),
            bead_um=1e-3 * bead_nm, peak_e=peak_e, background_e=background_e, camera=camera,
            seed=seed,
        )  # fmt: skip
        return
    check_output(output, ())
    stem, suffix = split_output(output)
    if not suffix.startswith(".ome"):
        raise UsageError("Raw frames need their metadata.", expected=".ome.tif", got=suffix)
    arguments: dict[str, Any] = {
        "shape": (size, size),
        "pixel_um": pixel_um,
        "kind": kind,
        "peak_e": peak_e,
        "directions": angles,
        "phases": phases,
        "period_um": period_um,
        "modulation": tuple(modulation) if modulation else None,
        "mode": mode,
        **asdict(light or LightOptions()),
        "phase_jitter_rad": phase_jitter_rad,
        "intensity_jitter": intensity_jitter,
        "phase_bend_rad": tuple(phase_bend_rad or (0.0,)),
        "contrast_loss": tuple(contrast_loss or (0.0,)),
        "background": background_e,
        "bleaching": bleaching,
        "haze": haze,
        "seed": seed,
    }
    if not np.isfinite(drift_um):
        raise UsageError("The drift must be finite.", got=str(drift_um), where="--drift-um")
    a, p = steps_of(mode, angles, phases)
    way = np.linspace(-0.5, 0.5, a * p).reshape(a, p, 1)
    drift = way * drift_um * np.sqrt([0.5, 0.5]) if drift_um else None
    optics = Optics(
        na=na, emission_nm=emission_nm, immersion_index=index, excitation_nm=excitation_nm
    )
    otf = pupil_planar_otf(optics, pixel_um=pixel_um, aberrations_nm=waves) if waves else None
    stack, truth = simulate_stack(
        optics=optics, camera=camera, drift_um=drift, otf=otf, **arguments
    )
    made = record(
        settings={
            **arguments,
            "drift_um": drift_um,
            "aberrations_nm": waves,
            "optics": asdict(optics),
            "camera": asdict(camera),
        },
        device=f"{device.label}: {device.reason}",
        seed=seed,
        command=command_line("simrecon"),
    )
    names = [f"{stem}{suffix}", f"{stem}.truth.tif", f"{stem}.pattern.json"]
    with staging(output) as folder:
        write_raw(folder / names[0], stack, provenance=made)
        truth_grid = stack.grid.zoomed(2)
        facts = {**made, "quantity": "object, photo-electrons per raw pixel area"}
        write_image(
            folder / names[1], truth.object_e, pixel_um=truth_grid.pixel_um, provenance=facts
        )
        write_pattern(folder / names[2], truth.pattern)
    files = [str(output.parent / name) for name in names]
    lines = [f"note: {text}" for text in stack.notes] + [f"wrote {f}" for f in files]
    report.finish({"files": files, "notes": stack.notes}, "\n".join(lines))

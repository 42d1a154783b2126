"""``simrecon simulate --kind dark|flat``: frames to calibrate a camera with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from simrecon.backend import Device
from simrecon.cli.outputs import check_output, split_output, staging
from simrecon.errors import UsageError
from simrecon.io import write_camera_record
from simrecon.io.frame_stream import write_frames
from simrecon.model.camera import Camera
from simrecon.physics.simulate_camera import sensor
from simrecon.provenance import record
from simrecon.shell import Reporter, command_line


def simulate_camera_stack(
    report: Reporter,
    device: Device,
    output: Path,
    *,
    size: int,
    frames: int,
    light_e: float,
    flicker: float,
    camera: Camera,
    seed: int,
) -> None:
    """Write OUT and OUT.truth.h5, the camera record of the sensor that took the frames.

    Its fixed pattern does not depend on `seed`: dark and flat stacks of equal size come from the
    same camera.
    """
    if frames < 1:
        raise UsageError("There must be a frame.", expected="1 or more", got=str(frames),
                         where="--frames")  # fmt: skip
    check_output(output, ())
    stem, suffix = split_output(output)
    numbers: dict[str, Any] = {
        "size": size, "frames": frames, "light_e": light_e, "flicker": flicker,
        "gain": camera.gain, "offset": camera.offset, "read_noise_e": camera.read_noise_e,
    }  # fmt: skip
    made = record(
        settings=numbers,
        device=f"{device.label}: {device.reason}",
        seed=seed,
        command=command_line("simrecon"),
    )
    chip = sensor((size, size), camera)
    stack = chip.frames(light_e, frames, np.random.default_rng(seed), flicker)
    names = [f"{stem}{suffix}", f"{stem}.truth.h5"]
    with staging(output) as folder:
        write_frames(folder / names[0], stack, (frames, size, size), provenance=made)
        write_camera_record(
            folder / names[1], chip.camera, instrument="simulated", created=made["created"]
        )
    files = [str(output.parent / name) for name in names]
    report.finish({"files": files}, "\n".join(f"wrote {name}" for name in files))

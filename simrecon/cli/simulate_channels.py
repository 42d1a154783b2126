"""``simrecon simulate --kind bead-channels``: beads in two colours on two cameras."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from cyclopts import Parameter

from simrecon.backend import Device
from simrecon.cli.outputs import check_output, split_output, staging
from simrecon.io import write_json, write_raw
from simrecon.model.affine import Affine2D
from simrecon.model.camera import Camera
from simrecon.model.optics import Optics
from simrecon.model.stack import SimStack
from simrecon.physics.simulate_beads import scattered_beads, simulate_bead_channels
from simrecon.provenance import record
from simrecon.shell import Reporter, command_line


@Parameter(name="*")
@dataclass(frozen=True)
class ChannelOptions:
    """For --kind bead-channels: the second channel against the first.

    Parameters
    ----------
    second_nm
        Emission wavelength of the second channel, nm.
    shift_y_um, shift_x_um
        Where the second camera shows the middle of the field, µm away from the first.
    turn_deg
        Rotation of the second camera's picture about the middle of the field, from +x to +y.
    magnify
        Magnification of the second channel over the first.
    mirror
        The second camera shows a mirror image (left and right exchanged).
    """

    second_nm: float = 605.0
    shift_y_um: float = 0.3
    shift_x_um: float = -0.2
    turn_deg: float = 0.3
    magnify: float = 1.002
    mirror: bool = False

    def to_second(self, size: int, pixel_um: float) -> Affine2D:
        """The map of points of the first channel to the second."""
        angle = np.deg2rad(self.turn_deg)
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        flip = np.diag([1.0, -1.0 if self.mirror else 1.0])
        matrix = self.magnify * turn @ flip
        centre = np.full(2, 0.5 * (size - 1) * pixel_um)
        shift = np.array([self.shift_y_um, self.shift_x_um])
        return Affine2D.of(matrix, centre + shift - matrix @ centre)


def simulate_channels(
    report: Reporter,
    device: Device,
    output: Path,
    channels: ChannelOptions,
    *,
    size: int,
    pixel_um: float,
    optics: Optics,
    bead_um: float,
    peak_e: float,
    background_e: float,
    camera: Camera,
    seed: int,
) -> None:
    """Write OUT (counts, two channels) and OUT.truth.json (the map between them)."""
    check_output(output, ())
    stem, suffix = split_output(output)
    both = (optics, replace(optics, emission_nm=channels.second_nm))
    to_second = channels.to_second(size, pixel_um)
    beads = scattered_beads((1, size, size), pixel_um=pixel_um, dz_um=0.1, optics=optics,
                            bead_um=bead_um, peak_e=peak_e, spacing_um=2.5, seed=seed)  # fmt: skip
    counts = simulate_bead_channels(
        beads, (Affine2D(), to_second), shape=(size, size), pixel_um=pixel_um, optics=both,
        bead_um=bead_um, background_e=background_e, camera=camera, seed=seed,
    )  # fmt: skip
    truth: dict[str, Any] = {
        "pixel_um": pixel_um, "emission_nm": [o.emission_nm for o in both],
        "first_to_second": asdict(to_second), "bead_um": bead_um, "options": asdict(channels),
        "beads": [asdict(b) for b in beads], "camera": asdict(camera),
    }  # fmt: skip
    made = record(settings=truth, device=f"{device.label}: {device.reason}", seed=seed,
                  command=command_line("simrecon"))  # fmt: skip
    stack = SimStack(counts[None, :, None, None, None], pixel_um, both, camera)
    names = [f"{stem}{suffix}", f"{stem}.truth.json"]
    with staging(output) as folder:
        write_raw(folder / names[0], stack, provenance=made)
        write_json(folder / names[1], truth)
    files = [str(output.parent / name) for name in names]
    report.finish({"files": files}, "\n".join(f"wrote {name}" for name in files))

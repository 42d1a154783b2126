"""Bring two colours on two cameras together, by beads that both of them see.

    python examples/registration_calibration.py [registration_calibration.png]

The second camera is shifted by half a micrometre, turned by half a degree and magnifies by 0.3 %
more. The map between them is measured with beads, and then applied to the SIM picture of the second
colour, with one interpolation.
"""

from __future__ import annotations

import sys

import numpy as np
from matplotlib.figure import Figure

from calibration.registration.measure import Registration, measure_registration
from calibration.registration.report import to_text
from simrecon import reconstruct, simulate
from simrecon.model.affine import Affine2D
from simrecon.model.optics import Optics
from simrecon.physics.phantoms import make_phantom
from simrecon.physics.simulate import fine_field
from simrecon.physics.simulate_beads import scattered_beads, simulate_bead_channels
from simrecon.registration import register

SIZE, PIXEL_UM = 192, 0.075
OPTICS = (
    Optics(1.45, 525.0, excitation_nm=488.0),
    Optics(1.45, 605.0, excitation_nm=561.0),
)


def second_camera() -> Affine2D:
    """Where the second camera shows what the first one shows."""
    turn = np.deg2rad(0.5)
    matrix = 1.003 * np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    centre = np.full(2, 0.5 * (SIZE - 1) * PIXEL_UM)
    return Affine2D.of(matrix, centre + (0.4, -0.3) - matrix @ centre)  # noqa: RUF005


def bead_pictures() -> np.ndarray:
    """One field of beads, (2, Y, X) counts."""
    beads = scattered_beads((1, SIZE, SIZE), pixel_um=PIXEL_UM, dz_um=0.1, optics=OPTICS[0],
                            bead_um=0.1, peak_e=1000.0, spacing_um=2.4, seed=2)  # fmt: skip
    return simulate_bead_channels(beads, (Affine2D(), second_camera()), shape=(SIZE, SIZE),
                                  pixel_um=PIXEL_UM, optics=OPTICS)  # fmt: skip


def sim_pictures() -> list:
    """The same filaments, reconstructed from both cameras' frames: results."""
    field = fine_field((SIZE, SIZE), PIXEL_UM)
    first = make_phantom("filaments", field.grid, np.random.default_rng(5))
    second = np.nan_to_num(register(first, field.grid, second_camera())).clip(0.0)
    out = []
    for thing, optics, period in ((first, OPTICS[0], 0.21), (second, OPTICS[1], 0.24)):
        stack, _ = simulate(shape=(SIZE, SIZE), pixel_um=PIXEL_UM, fine_object=thing,
                            optics=optics, period_um=period, peak_e=800.0, seed=3)  # fmt: skip
        out.append(reconstruct(stack))
    return out


def overlay(green: np.ndarray, magenta: np.ndarray) -> np.ndarray:
    """White where both agree."""
    scaled = [np.clip(p / np.nanpercentile(p, 99.5), 0, 1) for p in (green, magenta)]
    return np.nan_to_num(np.stack([scaled[1], scaled[0], scaled[1]], axis=-1))


def draw(found: Registration, before: np.ndarray, after: np.ndarray, path: str) -> None:
    """Residuals of the beads, and the overlays."""
    figure = Figure(figsize=(11, 4.0), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    fit = found.channels[1].fit
    residual = 1e3 * fit.left_out_um
    left.quiver(fit.points_um[:, 1], fit.points_um[:, 0], residual[:, 1], residual[:, 0],
                angles="xy", scale=60, color="#1f4e79")  # fmt: skip
    left.invert_yaxis()
    left.set_aspect("equal")
    left.set_xlabel("x / µm", fontsize=8)
    left.set_ylabel("y / µm", fontsize=8)
    left.tick_params(labelsize=7)
    left.set_title(f"beads left out: {fit.residual_nm:.1f} nm rms", fontsize=9)
    for axis, picture, name in ((middle, before, "SIM, as the cameras see it"),
                                (right, after, "SIM, registered")):  # fmt: skip
        axis.imshow(picture[200:360, 200:360])
        axis.set_title(name, fontsize=9)
        axis.set_axis_off()
    figure.savefig(path, dpi=130)


if __name__ == "__main__":
    found = measure_registration([bead_pictures()], PIXEL_UM, OPTICS)
    print(to_text(found))
    results = sim_pictures()
    green, magenta = (r.image[0, 0, 0] for r in results)
    moved = register(magenta, results[1].grid, found.channels[1].affine)
    inner = (slice(40, -40), slice(40, -40))
    for name, one in (("as seen", magenta), ("registered", moved)):
        share = np.corrcoef(green[inner].ravel(), one[inner].ravel())[0, 1]
        print(f"correlation of the colours, {name}: {share:.3f}")
    target = sys.argv[1] if len(sys.argv) > 1 else "registration_calibration.png"
    draw(found, overlay(green, magenta), overlay(green, moved), target)
    print(f"wrote {target}")

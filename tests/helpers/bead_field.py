"""A small bead stack with one defect of each kind, and its truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from simrecon.model.camera import Camera
from simrecon.model.optics import Optics
from simrecon.physics.simulate_beads import Bead, simulate_beads

OPTICS = Optics(na=1.2, emission_nm=520.0, immersion_index=1.33)
PIXEL_UM, DZ_UM, BEAD_UM = 0.1, 0.25, 0.1
ABERRATIONS = {5: 12.0, 6: -20.0, 7: 15.0, 8: -10.0, 11: 18.0}
CAMERA = Camera(2.0, 100.0, 1.5)
PLANES, PITCH_PX = 11, 30


def beads(rows: int, columns: int, flux_e: float, seed: int) -> list[Bead]:
    """Beads on a jittered lattice, near the middle plane."""
    rng = np.random.default_rng(seed)
    out = []
    for i in range(rows):
        for j in range(columns):
            y, x = 20 + PITCH_PX * i, 20 + PITCH_PX * j
            place = (0.5 * (PLANES - 1) * DZ_UM, y * PIXEL_UM, x * PIXEL_UM)
            jitter = rng.uniform(-0.5, 0.5, 3) * np.array([DZ_UM, PIXEL_UM, PIXEL_UM])
            z, y_um, x_um = (float(v) for v in np.add(place, jitter))
            out.append(Bead((z, y_um, x_um), flux_e * rng.uniform(0.8, 1.2)))
    return out


def render(found: list[Bead], rows: int, columns: int, **changes) -> np.ndarray:
    """Counts, (planes, rows, columns), uint16."""
    shape = (PLANES, 40 + PITCH_PX * (rows - 1), 40 + PITCH_PX * (columns - 1))
    given = {"optics": OPTICS, "bead_um": BEAD_UM, "aberrations_nm": ABERRATIONS, "seed": 3,
             "camera": CAMERA, "window_px": 41}  # fmt: skip
    given |= changes
    return simulate_beads(found, shape=shape, pixel_um=PIXEL_UM, dz_um=DZ_UM, **given)


def planted() -> tuple[np.ndarray, list[Bead], dict[int, str]]:
    """Stack of 4 x 4 beads, and index → kind of defect; the last bead touches the sixth."""
    found = beads(4, 4, 15000.0, 1)
    defects = {3: "drift", 5: "touching", 6: "saturated", 9: "dim", 12: "range", 14: "large"}
    found[3] = replace(found[3], drift=(0.3, 0.0))
    z, y, x = found[5].position_um
    found.append(Bead((z, y + 0.6, x + 0.2), 15000.0))
    found[6] = replace(found[6], flux_e=60000.0)
    found[9] = replace(found[9], flux_e=350.0)
    z, y, x = found[12].position_um
    found[12] = replace(found[12], position_um=(0.2, y, x))
    found[14] = replace(found[14], diameter_um=0.7, flux_e=60000.0)
    stack = render(found, 4, 4, bit_depth=12)
    stack[:, 35, 95] = 4000  # a hot pixel
    return stack, found, {**defects, len(found) - 1: "touching"}

"""Small SIM recordings of beads under an aberrated objective, and their truth."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from calibration.psf.settings import BeadSetup
from simrecon.model.optics import Optics
from simrecon.model.pattern import DirectionPattern
from simrecon.model.psf import AnyOTF
from simrecon.physics.illumination import regular_directions
from simrecon.physics.pupil_volume import pupil_planar_otf, pupil_volume_otf, three_beam_profiles
from simrecon.physics.simulate_beads import Bead
from simrecon.physics.simulate_sim_beads import lit_beads, simulate_sim_beads
from simrecon.physics.simulate_volume import LATTICE, OPTICS_3D, OPTICS_LLS
from simrecon.physics.simulate_volume_light import light_of, lit_directions

ABERRATIONS = {11: 40.0}
BEAD_UM = 0.1
OPTICS_2D = Optics(1.4, 525.0, excitation_nm=488.0)
_PLACES = {"2d": (1.9, 2.6, 4), "3d": (2.3, 3.8, 2), "lls": (2.6, 4.0, 2)}
_SHAPES = {"2d": (1, 176, 176), "3d": (19, 104, 104), "lls": (33, 88, 88)}


@dataclass(frozen=True)
class Recording:
    """Frames (A, P, Z, Y, X) and what they were made with."""

    frames: np.ndarray
    setup: BeadSetup
    otf: AnyOTF
    directions: tuple[DirectionPattern, ...]
    beads: tuple[Bead, ...]


@cache
def recording(mode: str, *, count: int | None = None, jitter: float = 0.05, peak_e: float = 1500.0,
              seed: int = 3) -> Recording:  # fmt: skip
    """Beads on a lattice with sub-pixel offsets; `count` of them, or all that the field holds."""
    rng = np.random.default_rng(seed)
    optics = {"2d": OPTICS_2D, "3d": OPTICS_3D, "lls": OPTICS_LLS}[mode]
    pixel, dz = {"2d": (0.065, None), "3d": (0.08, 0.125), "lls": (0.104, 0.15)}[mode]
    if dz is None:
        otf: AnyOTF = pupil_planar_otf(optics, pixel_um=pixel, aberrations_nm=ABERRATIONS)
        directions = regular_directions(rng, directions=2, phases=3, period_um=0.22,
                                        modulation=(0.8, 0.6), first_angle_rad=0.3,
                                        phase_jitter_rad=jitter)  # fmt: skip
    else:
        light = LATTICE.profiles() if mode == "lls" else three_beam_profiles(optics)
        otf = pupil_volume_otf(optics, light, pixel_um=pixel, dz_um=dz, aberrations_nm=ABERRATIONS)
        frequency, contrast, _ = light_of(mode, optics, LATTICE, 0.0)
        directions = lit_directions(rng, 1, 5, frequency, contrast=contrast, first_angle_rad=0.3,
                                    phase_step_um=None, phase_jitter_rad=jitter)  # fmt: skip
    first, step, side = _PLACES[mode]
    shape = _SHAPES[mode]
    middle = 0.0 if dz is None else 0.5 * (shape[0] - 1) * dz
    beads = []
    for i in range(side * side):
        y, x = first + step * (i // side), first + step * (i % side)
        shift = rng.uniform(-0.5, 0.5, 3) * (dz or 0.0, 0.4, 0.4)
        beads.append(Bead((middle + shift[0], y + shift[1], x + shift[2]), rng.uniform(0.8, 1.2)))
    beads = beads[:count]
    window = {"pixel_um": pixel, "bead_um": BEAD_UM} | ({"dz_um": dz} if dz else {})
    beads = lit_beads(beads, peak_e, otf, **window)
    frames = simulate_sim_beads(beads, directions, otf, shape=shape, pixel_um=pixel, dz_um=dz,
                                bead_um=BEAD_UM, background_e=5.0, seed=seed)  # fmt: skip
    return Recording(frames, BeadSetup(pixel, dz, optics, BEAD_UM), otf, tuple(directions),
                     tuple(beads))  # fmt: skip

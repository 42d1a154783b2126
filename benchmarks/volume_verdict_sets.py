"""Random small stacks on which the verdicts of volumes are checked: good ones, and worse.

Set number n is the same in every run. See :func:`draw` for the shares.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from simrecon.model.grid import VolumeGrid
from simrecon.model.psf import VolumeOTF
from simrecon.physics.simulate_volume import OPTICS_3D, VolumeTruth, simulate_volume
from simrecon.physics.theory_volume import theoretical_volume_otf
from simrecon.recon.preprocess import raw_variance

PEAKS_E = (30.0, 100.0, 300.0, 1000.0)
KINDS = ("mixed", "filaments", "shells", "tubes", "beads")
FAULTS = {"none": 0.8, "order": 0.06, "dark": 0.07, "one dark": 0.07}
"""Planes and directions exchanged; no pattern at all; none in one direction."""
TOLD = {"right": 0.7, "na 3 %": 0.15, "emission 5 %": 0.15}
"""How wrong the optics are that the fit is told, to either side."""
EXTENT_UM = 6.0
PHASES = 5
TINY = 20


@dataclass(frozen=True)
class VolumeSet:
    """One stack, what the fit is told of it, and the truth.

    Attributes
    ----------
    frames_e, variance_e2 : ndarray (A, P, Z, Y, X)
    grid : VolumeGrid
    otf : VolumeOTF
        What the fit is told.
    truth : VolumeTruth
    frequency_per_um : list of (fy, fx) or None
        True fundamental per direction; None where there is nothing to be found.
    settings : dict
        How the set was made, JSON-ready.
    """

    frames_e: np.ndarray
    variance_e2: np.ndarray
    grid: VolumeGrid
    otf: VolumeOTF
    truth: VolumeTruth
    frequency_per_um: list[tuple[float, float] | None]
    settings: dict[str, Any]


def draw(seed: int) -> VolumeSet:
    """Stack number `seed`.

    80² or 96² pixels of 80 nm, 10 to 14 planes of 125 nm; in the first `TINY` stacks 48² or 64² and
    5 to 9 planes, which is hardly enough for a fit; light, kind of object, `FAULTS` and
    `TOLD`; order 2 at 0.80 to 0.96 of the cut-off; contrasts 0.3 to 1 and 0.2 to 0.8; uneven phases
    and lamps; in a third of the sets a background of 0.3 times the peak.
    """
    rng = np.random.default_rng([41, seed])
    sizes, fewest = ([48, 64], 5) if seed < TINY else ([80, 96], 10)
    size, planes = int(rng.choice(sizes)), int(rng.integers(fewest, fewest + 5))
    peak_e, kind = float(rng.choice(PEAKS_E)), str(rng.choice(KINDS))
    fault = str(rng.choice(list(FAULTS), p=list(FAULTS.values())))
    told = str(rng.choice(list(TOLD), p=list(TOLD.values())))
    # three values, so that OTFs are made once each
    optics = replace(OPTICS_3D, excitation_na=float(rng.choice([1.05, 1.15, 1.25])))
    modulation = (0.0, 0.0)
    if fault != "dark":
        modulation = (float(rng.uniform(0.3, 1.0)), float(rng.uniform(0.2, 0.8)))
    making = {
        "peak_e": peak_e,
        "kind": kind,
        "modulation": modulation,
        "first_angle_rad": float(rng.uniform(-np.pi, np.pi)),
        "phase_jitter_rad": float(rng.choice([0.0, 0.05, 0.2])),
        "intensity_jitter": float(rng.choice([0.0, 0.03])),
        "background": float(rng.choice([0.0, 0.3], p=(0.67, 0.33))) * peak_e,
    }
    stack, truth = simulate_volume(
        shape=(planes, size, size), optics=optics, phases=PHASES, extent_um=EXTENT_UM, seed=seed,
        **making,
    )  # fmt: skip
    frames = np.stack([stack.frames_e(plane=z) for z in range(planes)], axis=2)
    true: list[tuple[float, float] | None] = [
        d.frequency_per_um if modulation[0] > 0 else None for d in truth.pattern.directions
    ]
    if fault == "one dark":
        # its frames are replaced by their mean: light without a pattern, with its own noise
        d = int(rng.integers(len(frames)))
        mean = truth.widefield_e * np.ones((PHASES, 1, 1, 1))
        frames[d] = rng.poisson(mean) + rng.normal(0.0, stack.camera.read_noise_e, mean.shape)
        true[d] = None
    if fault == "order":
        frames, true = exchanged(frames), [None] * len(frames)
    variance = np.stack(
        [raw_variance(frames[:, :, z], stack.camera) for z in range(planes)], axis=2
    ).astype(np.float32)
    settings = {
        "seed": seed, "size": size, "planes": planes, "fault": fault, "told": told,
        "excitation_na": optics.excitation_na,
    }  # fmt: skip
    off = {"right": (1.0, 1.0), "na 3 %": (1.03, 1.0), "emission 5 %": (1.0, 1.05)}[told]
    if rng.random() < 0.5:
        off = (1.0 / off[0], 1.0 / off[1])
    believed = replace(optics, na=optics.na * off[0], emission_nm=optics.emission_nm * off[1])
    otf = truth.otf
    if told != "right":
        otf = theoretical_volume_otf(believed, extent_um=EXTENT_UM, pixel_um=truth.grid.pixel_um)
    return VolumeSet(frames, variance, truth.grid, otf, truth, true, settings | making)


def exchanged(frames: np.ndarray) -> np.ndarray:
    """Frames taken as ``PZA`` and read as ``PAZ``."""
    a, p, z, *rest = frames.shape
    taken = frames.swapaxes(1, 2).reshape(a * z, p, *rest)
    return np.ascontiguousarray(taken.reshape(z, a, p, *rest).transpose(1, 2, 0, 3, 4))

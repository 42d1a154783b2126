"""Random stacks on which the verdicts of volumes are checked: good ones, and worse.

Set number n is the same in every run. See :func:`draw` for the shares.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np

from simrecon.estimate.volume.sheet import OTFAt
from simrecon.model.grid import VolumeGrid
from simrecon.model.optics import Optics
from simrecon.model.psf import VolumeOTF
from simrecon.physics.simulate_volume import (
    LATTICE,
    OPTICS_3D,
    OPTICS_LLS,
    VolumeTruth,
    simulate_volume,
)
from simrecon.physics.theory_volume import theoretical_volume_otf
from simrecon.recon.preprocess import raw_variance

PEAKS_E = (100.0, 300.0, 1000.0)
KINDS = ("mixed", "filaments", "shells", "tubes", "beads")
FAULTS = {"none": 0.8, "order": 0.06, "dark": 0.07, "one dark": 0.07}
"""Planes and directions exchanged; no pattern at all; none in one direction. Sheets, which have one
direction, are right or dark."""
OPTICS_TOLD = {"right": 0.7, "na 3 %": 0.15, "emission 5 %": 0.15}
"""How wrong the optics are that the fit is told, to either side."""
PERIOD_TOLD = (0.97, 1.0, 1.03)
"""Expected period over the true one; in a quarter of the 3D-SIM sets none is told."""
SHEETS = 10
"""Every tenth set is a lattice light sheet."""
EXTENT_UM = 6.0
PHASES = 5


@dataclass(frozen=True)
class VolumeSet:
    """One stack, what the fit is told of it, and the truth.

    Attributes
    ----------
    frames_e, variance_e2 : ndarray (A, P, Z, Y, X)
    grid : VolumeGrid
    otf : VolumeOTF
        What the fit is told.
    otf_at : callable or None
        The same with the sheet at a distance from the focal plane.
    expected_per_um : float or None
        Fundamental that the fit is told.
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
    otf_at: OTFAt | None
    expected_per_um: float | None
    truth: VolumeTruth
    frequency_per_um: list[tuple[float, float] | None]
    settings: dict[str, Any]


def draw(seed: int) -> VolumeSet:
    """Stack number `seed`.

    64², 80² or 96² pixels and 8 to 16 planes; light, kind of object, `FAULTS`, `OPTICS_TOLD` and
    `PERIOD_TOLD`; contrasts 0.3 to 1 and 0.2 to 0.8 (a sheet's are its own); uneven phases and
    lamps; in a third of the sets a background of 0.3 times the peak. 3D-SIM: 80 nm × 125 nm, order
    2 at 0.80 to 0.96 of the cut-off. Sheets: 104 nm × 150 nm, up to 0.5 µm from the focal plane.
    """
    rng = np.random.default_rng([43, seed])
    sheet = seed % SHEETS == SHEETS - 1
    size, planes = int(rng.choice([64, 80, 96])), int(rng.integers(8, 17))
    peak_e, kind = float(rng.choice(PEAKS_E)), str(rng.choice(KINDS))
    fault = str(rng.choice(list(FAULTS), p=list(FAULTS.values())))
    told = str(rng.choice(list(OPTICS_TOLD), p=list(OPTICS_TOLD.values())))
    # three values, so that OTFs are made once each
    excitation_na = float(rng.choice([1.05, 1.15, 1.25]))
    optics = OPTICS_LLS if sheet else replace(OPTICS_3D, excitation_na=excitation_na)
    dark = fault == "dark" or (sheet and fault == "one dark")
    modulation = (float(rng.uniform(0.3, 1.0)), float(rng.uniform(0.2, 0.8)))
    offset_um = float(rng.uniform(-0.5, 0.5)) if sheet else 0.0
    making: dict[str, Any] = {
        "peak_e": peak_e,
        "kind": kind,
        "first_angle_rad": float(rng.uniform(-np.pi, np.pi)),
        "phase_jitter_rad": float(rng.choice([0.0, 0.05, 0.2])),
        "intensity_jitter": float(rng.choice([0.0, 0.03])),
        "background": float(rng.choice([0.0, 0.3], p=(0.67, 0.33))) * peak_e,
    }
    if dark:
        making["modulation"] = (0.0, 0.0)
    elif not sheet:
        making["modulation"] = modulation
    stack, truth = simulate_volume(
        mode="lls" if sheet else "3d", shape=(planes, size, size), optics=optics, phases=PHASES,
        extent_um=EXTENT_UM, sheet_offset_um=offset_um, seed=seed, **making,
    )  # fmt: skip
    frames = np.stack([stack.frames_e(plane=z) for z in range(planes)], axis=2)
    true: list[tuple[float, float] | None] = [
        None if dark else d.frequency_per_um for d in truth.pattern.directions
    ]
    if fault == "one dark" and not sheet:
        # its frames are replaced by their mean: light without a pattern, with its own noise
        d = int(rng.integers(len(frames)))
        mean = truth.widefield_e * np.ones((PHASES, 1, 1, 1))
        frames[d] = rng.poisson(mean) + rng.normal(0.0, stack.camera.read_noise_e, mean.shape)
        true[d] = None
    if fault == "order" and not sheet:
        frames, true = exchanged(frames), [None] * len(frames)
    variance = np.stack(
        [raw_variance(frames[:, :, z], stack.camera) for z in range(planes)], axis=2
    ).astype(np.float32)
    off = {"right": (1.0, 1.0), "na 3 %": (1.03, 1.0), "emission 5 %": (1.0, 1.05)}[told]
    if rng.random() < 0.5:
        off = (1.0 / off[0], 1.0 / off[1])
    believed = replace(optics, na=optics.na * off[0], emission_nm=optics.emission_nm * off[1])
    period = float(rng.choice(PERIOD_TOLD)) if sheet or rng.random() < 0.75 else None
    fundamental = float(np.hypot(*truth.pattern.directions[0].frequency_per_um))
    settings = {
        "seed": seed, "mode": "lls" if sheet else "3d", "size": size, "planes": planes,
        "told": told, "period_told": period, "sheet_offset_um": offset_um,
        "fault": "dark" if dark else "none" if sheet else fault,
    }  # fmt: skip
    pixel_um = truth.grid.pixel_um
    return VolumeSet(
        frames_e=frames,
        variance_e2=variance,
        grid=truth.grid,
        otf=_sheet_otf(believed, pixel_um, 0.0) if sheet else _otf(believed, pixel_um),
        otf_at=(lambda d: _sheet_otf(believed, pixel_um, d)) if sheet else None,
        expected_per_um=None if period is None else fundamental / period,
        truth=truth,
        frequency_per_um=true,
        settings=settings | {k: making[k] for k in ("peak_e", "kind", "phase_jitter_rad")},
    )


@cache
def _otf(optics: Optics, pixel_um: float) -> VolumeOTF:
    return theoretical_volume_otf(optics, extent_um=EXTENT_UM, pixel_um=pixel_um)


@cache
def _sheet_otf(optics: Optics, pixel_um: float, offset_um: float) -> VolumeOTF:
    profiles = LATTICE.profiles(offset_um=offset_um)
    return theoretical_volume_otf(
        optics, illumination=profiles, extent_um=EXTENT_UM, pixel_um=pixel_um
    )


def exchanged(frames: np.ndarray) -> np.ndarray:
    """Frames taken as ``PZA`` and read as ``PAZ``."""
    a, p, z, *rest = frames.shape
    taken = frames.swapaxes(1, 2).reshape(a * z, p, *rest)
    return np.ascontiguousarray(taken.reshape(z, a, p, *rest).transpose(1, 2, 0, 3, 4))

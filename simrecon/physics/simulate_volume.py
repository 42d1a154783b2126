"""Simulated raw volumes of 3D-SIM and lattice light-sheet SIM with exactly known truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy.ndimage import shift

from simrecon.errors import UsageError
from simrecon.model.camera import Camera
from simrecon.model.grid import VolumeGrid
from simrecon.model.optics import Optics
from simrecon.model.pattern import DirectionPattern, PatternFit
from simrecon.model.psf import VolumeOTF
from simrecon.model.stack import SimStack
from simrecon.physics.exposure import expose
from simrecon.physics.forward_volume import OrderSpectra, VolumeField, frame
from simrecon.physics.lattice import Lattice
from simrecon.physics.phantoms_volume import VolumeKind, make_volume_phantom
from simrecon.physics.pupil import PupilModel
from simrecon.physics.simulate import DEFAULT_CAMERA, TRUTH_ZOOM, _generators
from simrecon.physics.simulate_volume_light import (
    frame_intensity,
    light_of,
    lit_directions,
    scan_shear,
)
from simrecon.physics.theory_volume import EXTENT_UM, theoretical_volume_otf

VolumeMode = Literal["3d", "lls"]

OPTICS_3D = Optics(
    na=1.4, emission_nm=525.0, immersion_index=1.515, excitation_nm=488.0, excitation_na=1.2
)
OPTICS_LLS = Optics(na=1.1, emission_nm=525.0, immersion_index=1.33, excitation_nm=488.0)
LATTICE = Lattice("square", 0.46, 0.36, 488.0)
STAGE_ANGLE_RAD = float(np.radians(32.45))
_MAX_FINE_DZ_UM = 0.1
_MARGIN_UM = 1.2


@dataclass(frozen=True)
class VolumeTruth:
    """What the simulator knows about its data.

    Attributes
    ----------
    object_e : ndarray, (Z, 2·Y, 2·X), float32
        Object on the SR grid of lateral zoom 2, means over its voxels, electrons per raw voxel: a
        volume of constant value would give frames of that value. With a stage scan on the skewed
        grid of the frames. The background is not in it.
    grid : VolumeGrid
        Raw grid, skewed for a stage scan.
    pattern : PatternFit
        True pattern. Intensities are means over the planes.
    intensity : ndarray, (A, P, Z)
        Relative brightness of every frame, mean 1.
    drift_um : ndarray, (A, P, Z, 2)
        Displacement (y, x) of the sample in every frame.
    expected_e : ndarray, (A, P, Z, Y, X), float32
        Noise-free frames, electrons.
    widefield_e : ndarray, (Z, Y, X), float32
        Noise-free image of order 0, without drift, with the background.
    fine_object : ndarray, float32
        Object on ``field.box``, electrons per raw voxel.
    field : VolumeField
    background_e : float
        Uniform unmodulated light, electrons per frame and pixel.
    otf : VolumeOTF
        OTFs of all orders.
    sheet_offset_um : float
        Distance of a light sheet from the focal plane, positive deeper.
    saturated : int
        Number of counts clipped at the top of the camera's range.
    """

    object_e: np.ndarray
    grid: VolumeGrid
    pattern: PatternFit
    intensity: np.ndarray
    drift_um: np.ndarray
    expected_e: np.ndarray
    widefield_e: np.ndarray
    fine_object: np.ndarray
    field: VolumeField
    background_e: float
    otf: VolumeOTF
    sheet_offset_um: float
    saturated: int


def simulate_volume(
    *,
    mode: VolumeMode = "3d",
    shape: tuple[int, int, int] = (24, 256, 256),
    pixel_um: float | None = None,
    dz_um: float | None = None,
    optics: Optics | None = None,
    kind: VolumeKind = "mixed",
    peak_e: float = 1000.0,
    directions: int | None = None,
    phases: int = 5,
    modulation: Sequence[float] | None = None,
    first_angle_rad: float | None = None,
    phase_step_um: float | None = None,
    lattice: Lattice = LATTICE,
    sheet_offset_um: float = 0.0,
    scan: Literal["objective", "stage"] = "objective",
    stage_angle_rad: float = STAGE_ANGLE_RAD,
    phase_jitter_rad: float = 0.0,
    intensity_jitter: float = 0.0,
    bleaching: float = 0.0,
    order: str = "PZA",
    drift_um: np.ndarray | None = None,
    background: float = 0.0,
    camera: Camera = DEFAULT_CAMERA,
    bit_depth: int = 16,
    otf: VolumeOTF | None = None,
    otf_model: PupilModel = "auto",
    extent_um: float = EXTENT_UM,
    seed: int = 0,
    noise_seed: int | None = None,
    fine: int = 2,
    fine_z: int | None = None,
    margin_um: float = _MARGIN_UM,
    fine_object: np.ndarray | None = None,
) -> tuple[SimStack, VolumeTruth]:
    """Simulate one volume of 3D-SIM (three beams) or lattice light-sheet SIM.

    Parameters
    ----------
    mode
        ``3d``: pattern of orders 0, 1, 2 with the axial interference of three beams; ``lls``: the
        orders of a lattice sheet.
    shape, pixel_um, dz_um
        Planes and camera frame (Z, Y, X), camera pixel [default 0.08; lls 0.104], distance of the
        planes along the detection axis [default 0.125; lls 0.15], µm.
    optics
        Detection; 3D-SIM also needs excitation wavelength and NA: the fundamental has the period
        λ_ex/NA_ex. Default: `OPTICS_3D`, `OPTICS_LLS`.
    kind
        Phantom (see :func:`simrecon.physics.phantoms_volume.make_volume_phantom`).
    peak_e
        99.9th percentile of the image of order 0, photo-electrons per pixel and frame.
    directions, phases
        Numbers A [default 3; lls 1] and P.
    modulation
        Contrast of orders 1, 2, …, the same in all directions [default `CONTRAST_3D`; lls: the
        lattice's own]. One number: light without order 2, for which 3 phases do.
    first_angle_rad
        Angle of the first frequency vector, atan2(fy, fx) [default 0.25; lls 0: along x]; the
        others follow at π/A.
    phase_step_um
        Distance by which the pattern moves from phase to phase; None: a P-th of its period.
    lattice, sheet_offset_um
        Light sheet, and its distance from the focal plane, positive deeper; lls only.
    scan, stage_angle_rad
        ``stage``: the stage moves at this angle to the focal plane, so that the sample travels
        along y by dz/tan(angle) from plane to plane; the pattern stays with the camera.
    phase_jitter_rad
        Standard deviation of the phase-step errors of each (A, P), the same in all planes.
    intensity_jitter
        Relative standard deviation of the brightness of each frame.
    bleaching
        Fraction of the brightness lost between the first and the last frame in `order`.
    order
        Acquisition order, letters fastest first.
    drift_um
        Displacement (y, x) of the sample in every frame, (A, P, Z, 2), µm.
    background
        Uniform unmodulated light, electrons per pixel and frame.
    camera, bit_depth
        Camera model, numbers or maps (Y, X), and the range of its counts.
    otf, otf_model, extent_um
        OTFs to use, or else those of theory with a PSF of this depth (µm). A given OTF contains
        its light: lattice and sheet offset are then only told in the truth. Its PSF must not be
        longer than `extent_um`, or light of one end of the volume comes back at the other.
    seed, noise_seed
        `seed` fixes object and pattern; the noise follows from `noise_seed`, by default `seed`.
    fine, fine_z
        Fine voxels per pixel, an even number, and per plane (None: at least 2, at most 0.1 µm
        apart).
    margin_um
        Object beyond the field and the planes, µm.
    fine_object
        Object to use instead of a phantom, on ``truth.field.box``; scaled to `peak_e`.

    Returns
    -------
    SimStack
        uint16 counts of shape (1, 1, A, P, Z, Y, X).
    VolumeTruth

    Raises
    ------
    UsageError
        For settings that cannot be meant.
    """
    _check(peak_e, background, bleaching, fine, bit_depth)
    usual = _usual(mode)
    optics = usual.optics if optics is None else optics
    pixel_um = usual.pixel_um if pixel_um is None else pixel_um
    dz_um = usual.dz_um if dz_um is None else dz_um
    grid = VolumeGrid(shape, pixel_um, dz_um, shear=scan_shear(scan, stage_angle_rad))
    fundamental, contrast, light = light_of(mode, optics, lattice, sheet_offset_um)
    otf = otf or theoretical_volume_otf(
        optics, illumination=light, model=otf_model, extent_um=extent_um,
        pixel_um=grid.pixel_um if optics.pixel_integration else None,
    )  # fmt: skip
    contrast = contrast if modulation is None else tuple(modulation)
    if otf.orders <= len(contrast):
        raise UsageError(
            "The OTF holds fewer orders than the light.", expected=f"0 to {len(contrast)}",
            got=f"{otf.orders} orders", where="otf",
        )  # fmt: skip
    object_rng, pattern_rng, noise_rng = _generators(seed, noise_seed)
    lit = lit_directions(
        pattern_rng, directions or usual.directions, phases, fundamental,
        contrast=contrast,
        first_angle_rad=usual.angle_rad if first_angle_rad is None else first_angle_rad,
        phase_step_um=phase_step_um, phase_jitter_rad=phase_jitter_rad,
    )  # fmt: skip
    count = (len(lit), phases, shape[0])
    intensity = frame_intensity(pattern_rng, count, order, bleaching, intensity_jitter)
    drift = _drift(drift_um, count)
    step = fine_z or max(2, int(np.ceil(grid.dz_um / _MAX_FINE_DZ_UM)))
    field = VolumeField(grid, fine, step, margin_um, 0.5 * extent_um)
    density = fine_object
    if density is None:
        density = make_volume_phantom(kind, field.box, object_rng)
    spectra = OrderSpectra(field, otf)
    density, zero = _scaled(density, spectra, field, peak_e)
    expected = _expected(spectra, field, density, zero, lit, drift)
    expected = intensity[..., None, None].astype(np.float32) * (expected + np.float32(background))
    counts, saturated = _exposed(expected, camera, noise_rng, bit_depth)
    truth = VolumeTruth(
        object_e=_on_sr_grid(density, field),
        grid=grid,
        pattern=_pattern(grid, lit, intensity, order, sheet_offset_um if mode == "lls" else None),
        intensity=intensity,
        drift_um=drift,
        expected_e=expected,
        widefield_e=_widefield(spectra, zero, field) + np.float32(background),
        fine_object=density,
        field=field,
        background_e=float(background),
        otf=otf,
        sheet_offset_um=sheet_offset_um if mode == "lls" else 0.0,
        saturated=saturated,
    )
    metadata = {
        "source": "simulate", "mode": mode, "kind": kind, "seed": seed, "peak_e": peak_e,
        "scan": scan, "shear": grid.shear,
    }  # fmt: skip
    if scan == "stage":
        metadata["stage_angle_rad"] = stage_angle_rad
    stack = SimStack(
        data=counts[None, None], pixel_um=grid.pixel_um, optics=(optics,), camera=camera,
        dz_um=grid.dz_um, order=order, metadata=metadata, notes=_notes(truth),
    )  # fmt: skip
    return stack, truth


@dataclass(frozen=True)
class _Usual:
    """What a mode takes where nothing is given."""

    optics: Optics
    pixel_um: float
    dz_um: float
    directions: int
    angle_rad: float


def _usual(mode: str) -> _Usual:
    if mode == "3d":
        return _Usual(OPTICS_3D, 0.08, 0.125, 3, 0.25)
    if mode == "lls":
        return _Usual(OPTICS_LLS, 0.104, 0.15, 1, 0.0)
    raise UsageError("Unknown mode of a volume.", expected="3d or lls", got=mode, where="--mode")


def _check(peak_e: float, background: float, bleaching: float, fine: int, bit_depth: int) -> None:
    for wrong, message in (
        (peak_e <= 0 or background < 0, "Light levels cannot be negative."),
        (not 0 <= bleaching < 1, "bleaching is a fraction of the brightness in [0, 1)."),
        (fine < 2 or fine % 2, "fine must be a multiple of 2."),
        (not 1 <= bit_depth <= 16, "bit_depth must lie in 1…16."),
    ):
        if wrong:
            raise UsageError(message, where="simulate")


def _drift(drift_um: np.ndarray | None, count: tuple[int, int, int]) -> np.ndarray:
    if drift_um is None:
        return np.zeros((*count, 2))
    drift = np.asarray(drift_um, dtype=np.float64)
    if drift.shape != (*count, 2) or not np.isfinite(drift).all():
        raise UsageError(
            "drift_um needs one finite displacement (y, x) per frame.",
            expected=str((*count, 2)),
            got=str(drift.shape),
            where="simulate",
        )
    return drift


def _travel(field: VolumeField) -> np.ndarray:
    """Where an object at rest on the stage is in every plane, (Z, 2), µm."""
    z = field.camera.dz_um * np.arange(field.camera.shape[0])
    return -np.outer(z, field.camera.shear)


def _scaled(
    density: np.ndarray, spectra: OrderSpectra, field: VolumeField, peak_e: float
) -> tuple[np.ndarray, np.ndarray]:
    """Object of the wanted brightness and the spectra of its order 0."""
    if np.any(density < 0) or not np.all(np.isfinite(density)):
        raise UsageError("The object must be finite and not negative.", where="fine_object")
    zero = spectra.of_order(density, 0, (0.0, 0.0))
    peak = float(np.percentile(_widefield(spectra, zero, field), 99.9))
    if peak <= 0:
        raise UsageError("The object is dark over the camera's field.", where="fine_object")
    scale = np.float32(peak_e / peak)
    return density.astype(np.float32, copy=False) * scale, zero * scale


def _widefield(spectra: OrderSpectra, zero: np.ndarray, field: VolumeField) -> np.ndarray:
    shifts = [(float(y), float(x)) for y, x in _travel(field)]
    return np.stack([spectra.image(plane, u) for plane, u in zip(zero, shifts, strict=True)])


def _expected(
    spectra: OrderSpectra,
    field: VolumeField,
    density: np.ndarray,
    zero: np.ndarray,
    lit: Sequence[DirectionPattern],
    drift_um: np.ndarray,
) -> np.ndarray:
    """Noise-free frames (A, P, Z, Y, X) under light of unit brightness."""
    out = np.empty((*drift_um.shape[:3], *field.camera.shape[1:]), dtype=np.float32)
    travel = _travel(field)
    for a, d in enumerate(lit):
        lateral = range(1, len(d.modulation) + 1)
        orders = [zero, *(spectra.of_order(density, m, d.frequency_per_um) for m in lateral)]
        for j, phase in enumerate(d.phase_rad):
            for i in range(out.shape[2]):
                y, x = drift_um[a, j, i] + travel[i]
                seen = [spectrum[i] for spectrum in orders]
                out[a, j, i] = frame(spectra, seen, d, phase, (float(y), float(x)))
    return out


def _exposed(
    expected: np.ndarray, camera: Camera, rng: np.random.Generator, bit_depth: int
) -> tuple[np.ndarray, int]:
    """Counts, volume by volume, to keep the memory of the noise small."""
    counts = np.empty(expected.shape, dtype=np.uint16)
    saturated = 0
    for a, j in np.ndindex(expected.shape[:2]):
        counts[a, j], clipped = expose(expected[a, j], camera, rng, bit_depth=bit_depth)
        saturated += clipped
    return counts, saturated


def _pattern(
    grid: VolumeGrid,
    lit: Sequence[DirectionPattern],
    intensity: np.ndarray,
    order: str,
    sheet_offset_um: float | None,
) -> PatternFit:
    mean = intensity.mean(axis=2)
    return PatternFit(
        pixel_um=grid.pixel_um,
        shape=grid.shape[1:],
        directions=tuple(
            replace(d, intensity=tuple(float(v) for v in one), sheet_offset_um=sheet_offset_um)
            for d, one in zip(lit, mean, strict=True)
        ),
        order=order,
        notes=("simulated: these are the true values",),
    )


def _on_sr_grid(density: np.ndarray, field: VolumeField) -> np.ndarray:
    """Means over the voxels of the SR grid of zoom 2; planes by half a plane on either side."""
    size, step, lead = field.fine // TRUTH_ZOOM, field.fine_z, field.lead_planes
    weights = np.ones(step + 1 - step % 2)
    if step % 2 == 0:
        weights[[0, -1]] = 0.5
    weights /= weights.sum()
    planes = []
    for i, travel in enumerate(_travel(field)):
        first = lead + i * step - weights.size // 2
        window = [min(max(first + n, 0), density.shape[0] - 1) for n in range(weights.size)]
        plane = np.tensordot(weights, density[window], axes=1)
        if travel.any():
            plane = shift(plane, travel / field.box.pitch_um[1], order=1, mode="nearest")
        (top, left), (rows, columns) = field.lead_px, field.camera.shape[1:]
        cut = plane[top * field.fine :, left * field.fine :]
        cut = cut[: rows * field.fine, : columns * field.fine]
        blocks = cut.reshape(rows * TRUTH_ZOOM, size, columns * TRUTH_ZOOM, size)
        planes.append(blocks.mean(axis=(1, 3)))
    return np.asarray(planes, dtype=np.float32)


def _notes(truth: VolumeTruth) -> tuple[str, ...]:
    notes = ["simulated data"]
    if truth.saturated:
        notes.append(
            f"{truth.saturated} counts reached the top of the camera's range and were clipped."
        )
    highest, nyquist = max(truth.otf.axial_cutoff_per_um), 0.5 / truth.grid.dz_um
    if highest > nyquist:
        notes.append(
            f"Axial frequencies up to {highest:.2f} per µm pass; planes {truth.grid.dz_um:g} µm "
            f"apart show those below {nyquist:.2f} per µm and take the others for lower ones."
        )
    return tuple(notes)

"""Simulated raw 2-D SIM data with exactly known truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter, shift

from simrecon.errors import UsageError
from simrecon.model.camera import Camera
from simrecon.model.grid import Grid
from simrecon.model.mode import MODES, check_steps, steps_of
from simrecon.model.optics import Optics
from simrecon.model.pattern import DirectionPattern, PatternFit
from simrecon.model.psf import DetectionOTF
from simrecon.model.stack import SimStack
from simrecon.physics.exposure import expose
from simrecon.physics.forward import Detector, FineField, expected_frames
from simrecon.physics.illumination import bent_field, regular_directions
from simrecon.physics.mode_light import (
    HexLight,
    Response,
    SimulatedMode,
    axial_factor,
    finest_over_fundamental,
    hexagonal_directions,
    nonlinear_orders,
    three_beam_orders,
)
from simrecon.physics.otf import OtfModel, theoretical_otf
from simrecon.physics.phantoms import PhantomKind, make_phantom

DEFAULT_OPTICS = Optics(na=1.49, emission_nm=525.0, excitation_nm=488.0)
DEFAULT_CAMERA = Camera(gain=2.0, offset=100.0, read_noise_e=1.5, source="simulated")
TRUTH_ZOOM = 2
_MARGIN_UM = 1.5
_HAZE_SIGMA_UM = 1.2


@dataclass(frozen=True)
class Truth:
    """What the simulator knows about its data.

    Attributes
    ----------
    object_e : ndarray, (2·Y, 2·X), float32
        In-focus object plus the uniform background on the SR grid of zoom 2 (means over SR
        pixels), electrons per raw pixel area: its mean is the mean of the widefield.
    pattern : PatternFit
        The true pattern; intensities have mean 1 over the stack.
    expected_e : ndarray, (A, P, Y, X), float32
        Noise-free frames, electrons.
    widefield_e : ndarray, (Y, X), float32
        Noise-free uniformly lit image: in-focus object, background and haze, electrons.
    fine_object : ndarray, float32
        In-focus object on `fine_grid` (with margin), electrons per raw pixel area.
    fine_grid : Grid
        Where `fine_object` is sampled.
    field : FineField
        The camera's field within that grid.
    background_e : float
        Uniform unmodulated light, electrons per raw pixel.
    haze_e : ndarray, (Y, X), float32
        Smooth out-of-focus light (not modulated), electrons per raw pixel.
    otf : DetectionOTF
        The detection OTF used.
    saturated : int
        Number of counts clipped at the top of the camera's range.
    """

    object_e: np.ndarray
    pattern: PatternFit
    expected_e: np.ndarray
    widefield_e: np.ndarray
    fine_object: np.ndarray
    fine_grid: Grid
    field: FineField
    background_e: float
    haze_e: np.ndarray
    otf: DetectionOTF
    saturated: int


def simulate(
    *,
    shape: tuple[int, int] = (256, 256),
    pixel_um: float = 0.065,
    optics: Optics = DEFAULT_OPTICS,
    kind: PhantomKind = "filaments",
    peak_e: float = 1000.0,
    directions: int | None = None,
    phases: int | None = None,
    period_um: float | None = None,
    modulation: Sequence[float] | None = None,
    first_angle_rad: float = 0.25,
    phase_jitter_rad: float = 0.0,
    intensity_jitter: float = 0.0,
    bleaching: float = 0.0,
    phase_bend_rad: Sequence[float] = (0.0,),
    contrast_loss: Sequence[float] = (0.0,),
    background: float = 0.0,
    haze: float = 0.0,
    drift_um: np.ndarray | None = None,
    mode: SimulatedMode = "2d",
    central_amplitude: float = 0.35,
    defocus_um: float = 0.0,
    dose: float = 1.5,
    response: Response = "switching",
    hex_light: HexLight = "coherent",
    camera: Camera = DEFAULT_CAMERA,
    bit_depth: int = 16,
    otf: DetectionOTF | None = None,
    otf_model: OtfModel = "auto",
    seed: int = 0,
    noise_seed: int | None = None,
    fine: int = 4,
    fine_object: np.ndarray | None = None,
) -> tuple[SimStack, Truth]:
    """Simulate one acquisition of one plane.

    Parameters
    ----------
    shape, pixel_um
        Camera frame (Y, X) and pixel pitch in the sample.
    optics
        Detection optics; `pixel_integration` decides whether the camera's pixel blurs.
    kind
        Phantom (see :func:`simrecon.physics.phantoms.make_phantom`).
    peak_e
        99.9th percentile of the in-focus widefield image, photo-electrons per pixel and frame.
    directions, phases
        Numbers A and P; None: those of the mode (:data:`simrecon.model.mode.MODES`). Three
        simultaneous carriers (``hex``) are one entry along A.
    period_um
        Period of the fundamental; None: that whose finest light is λ_ex/(2·NA_ex) when the optics
        have an excitation NA, else 0.21 µm.
    modulation
        Contrast of the interference per direction (repeated when shorter), 0…1; None: 0.85, 0.7,
        0.55 for two beams, 0.9 for the other modes.
    first_angle_rad
        Angle of the first frequency vector, atan2(fy, fx); the others follow at π/A.
    phase_jitter_rad, intensity_jitter
        Standard deviations of the phase-step and of the relative brightness errors per frame.
    bleaching
        Fraction of the brightness lost between the first and the last frame (exponential).
    phase_bend_rad, contrast_loss
        Per direction (repeated when shorter): how far the pattern bends and how much of its
        contrast it loses from a third of the height down to the last row (:func:`bent_field`).
    background
        Uniform unmodulated light, electrons per pixel and frame.
    haze
        99.9th percentile of smooth out-of-focus light relative to `peak_e` (not modulated).
    drift_um
        Displacement (y, x) of the sample, haze included, in every frame, µm: shape (A, P, 2), or
        (A, 2) for directions. The light stays. ``Truth`` shows the sample at displacement 0.
    mode
        ``tirf`` refuses haze and asks for the excitation NA or a period. ``slice3``, ``nonlinear``
        and ``hex`` are described in :mod:`simrecon.physics.mode_light`.
    central_amplitude, defocus_um
        Of ``slice3``: amplitude of the central beam over the others', and distance of the thin
        sample from the focus of the pattern.
    dose, response
        Of ``nonlinear``. The frames hold all harmonics; ``Truth.pattern`` those that the phases
        can separate.
    hex_light
        Of ``hex``: three interfering beams, or three two-beam patterns whose intensities add.
    camera, bit_depth
        Camera model and range of its counts; counts above the range are clipped, counted in
        ``Truth.saturated`` and noted.
    otf, otf_model
        Use this detection OTF, or else the theoretical one of this model.
    seed, noise_seed
        `seed` fixes object and pattern; the noise follows from `noise_seed`, by default `seed`.
    fine
        Object pixels per camera pixel, a multiple of 2.
    fine_object
        Object to use instead of a phantom, on the grid of
        ``FineField(Grid(shape, pixel_um), fine, margin).grid``; scaled to `peak_e`.

    Returns
    -------
    SimStack
        uint16 counts of shape (1, 1, A, P, 1, Y, X), order ``PA``.
    Truth

    Raises
    ------
    UsageError
        For settings that cannot be meant, and when the camera's offset is so low that noise
        would fall below zero counts.
    """
    directions, phases = steps_of(mode, directions, phases)
    facts = MODES[mode]
    if modulation is None:
        modulation = (0.85, 0.7, 0.55) if mode in ("2d", "tirf") else (0.9,)
    _check_settings(peak_e, background, haze, bleaching, phases, directions, fine, bit_depth)
    check_steps(mode, directions, phases)
    if not all(0.0 <= m <= 1.0 for m in modulation):
        raise UsageError(
            "The contrast of a pattern lies between 0 and 1.",
            expected="0 <= modulation <= 1",
            got=", ".join(f"{m:g}" for m in modulation),
            where="modulation",
        )
    period_um = _resolve_period(period_um, optics, mode, hex_light, haze)
    object_rng, pattern_rng, noise_rng = _generators(seed, noise_seed)
    field = fine_field(shape, pixel_um, fine)
    if otf is None:
        otf = theoretical_otf(
            optics, pixel_um=pixel_um if optics.pixel_integration else None, model=otf_model
        )
    detector = Detector(field, otf)
    density = make_phantom(kind, field.grid, object_rng) if fine_object is None else fine_object
    density = _scaled(density, detector, peak_e)
    regular: dict[str, Any] = {
        "phases": phases,
        "period_um": period_um,
        "modulation": modulation,
        "first_angle_rad": first_angle_rad,
        "phase_jitter_rad": phase_jitter_rad,
        "intensity_jitter": intensity_jitter,
        "bleaching": bleaching,
    }
    if mode == "hex":
        plain = hexagonal_directions(pattern_rng, light=hex_light, **regular)
    else:
        axial = axial_factor(optics, period_um, defocus_um) if mode == "slice3" else 1.0

        def orders(contrast: float) -> tuple[float, ...]:
            if mode == "slice3":
                return three_beam_orders(contrast, central_amplitude, axial)
            if mode == "nonlinear":
                return nonlinear_orders(contrast, dose, response)
            return (contrast,)

        plain = regular_directions(pattern_rng, directions=directions, orders=orders, **regular)
    lit = _bent(plain, shape, pixel_um, phase_bend_rad, contrast_loss)
    if drift_um is not None:
        lit = _moving(lit, drift_um, phases, shared=mode == "hex")
    seen = facts.orders_of(phases)
    pattern = PatternFit(
        pixel_um=pixel_um,
        shape=shape,
        directions=tuple(replace(d, modulation=d.modulation[:seen]) for d in lit),
        notes=("simulated: these are the true values",),
        simultaneous=mode == "hex",
    )
    haze_e = _haze(density, field, haze * peak_e)
    firsts = [pattern.directions[members[0]] for members in pattern.frame_sets]
    lamp = np.asarray([d.intensity for d in firsts], dtype=np.float32)
    expected = expected_frames(density, lit, detector, simultaneous=mode == "hex")
    expected += lamp[:, :, None, None] * (_moved_haze(haze_e, pattern) + np.float32(background))
    counts, saturated = expose(expected, camera, noise_rng, bit_depth=bit_depth)
    truth = Truth(
        object_e=_box_mean(field.crop_to_camera(density), fine // TRUTH_ZOOM)
        + np.float32(background),
        pattern=pattern,
        expected_e=expected,
        widefield_e=detector(density) + haze_e + np.float32(background),
        fine_object=density,
        fine_grid=field.grid,
        field=field,
        background_e=float(background),
        haze_e=haze_e,
        otf=otf,
        saturated=saturated,
    )
    notes: tuple[str, ...] = ("simulated data",)
    if saturated:
        notes += (f"{saturated} counts reached the top of the camera's range and were clipped.",)
    missing = max((abs(m) for d in lit for m in d.modulation[seen:]), default=0.0)
    if missing:
        notes += (
            f"The light has harmonics above order {seen}, contrast up to {missing:.2g}, that "
            f"{phases} phases cannot separate: they stay in the frames.",
        )
    if 1.0 / period_um > otf.cutoff_per_um:
        notes += (
            f"The pattern (period {1e3 * period_um:.0f} nm) lies beyond the detection cut-off "
            f"({1e3 / otf.cutoff_per_um:.0f} nm): the frames show nothing of it directly.",
        )
    stack = SimStack(
        data=counts[None, None, :, :, None],
        pixel_um=pixel_um,
        optics=(optics,),
        camera=camera,
        order="PA",
        metadata={"source": "simulate", "kind": kind, "seed": seed, "peak_e": peak_e, "mode": mode},
        notes=notes,
    )
    return stack, truth


def fine_field(shape: tuple[int, int], pixel_um: float, fine: int = 4) -> FineField:
    """The simulator's fine field: at least 1.5 µm of object beyond every edge."""
    margin = int(np.ceil(_MARGIN_UM / pixel_um))
    return FineField(Grid(shape, pixel_um), fine, margin)


def _check_settings(
    peak_e: float,
    background: float,
    haze: float,
    bleaching: float,
    phases: int,
    directions: int,
    fine: int,
    bit_depth: int,
) -> None:
    for wrong, message in (
        (peak_e < 0 or background < 0 or haze < 0, "Light levels cannot be negative."),
        (not 0 <= bleaching < 1, "bleaching is a fraction of the brightness in [0, 1)."),
        (phases < 3 or directions < 1, "SIM needs 3 phases and 1 direction or more."),
        (fine < 2 or fine % TRUTH_ZOOM, "fine must be a multiple of 2."),
        (not 1 <= bit_depth <= 16, "bit_depth must lie in 1…16."),
    ):
        if wrong:
            raise UsageError(message, where="simulate")


def _bent(
    directions: Sequence[DirectionPattern],
    shape: tuple[int, int],
    pixel_um: float,
    bend_rad: Sequence[float],
    loss: Sequence[float],
) -> tuple[DirectionPattern, ...]:
    if not bend_rad or not loss or not all(0 <= value <= 1 for value in loss):
        raise UsageError("contrast_loss lies in 0…1, one or one per direction.", got=str(loss))
    extent_um = ((shape[0] - 1) * pixel_um, (shape[1] - 1) * pixel_um)
    return tuple(
        replace(d, local=bent_field(extent_um, bend_rad[n % len(bend_rad)], loss[n % len(loss)]))
        for n, d in enumerate(directions)
    )


def _resolve_period(
    period_um: float | None, optics: Optics, mode: SimulatedMode, light: HexLight, haze: float
) -> float:
    if mode == "tirf" and haze > 0:
        raise UsageError("TIRF light does not reach out of focus: haze must be 0.", got=str(haze))
    if period_um is None:
        finest = optics.pattern_frequency_per_um
        if finest is None and mode == "tirf":
            raise UsageError(
                "TIRF needs the pattern's period.", expected="period_um or optics.excitation_na"
            )
        return finest_over_fundamental(mode, light) * (0.21 if finest is None else 1.0 / finest)
    if not period_um > 0:
        raise UsageError("The pattern period must be positive.", got=str(period_um))
    return period_um


def _generators(
    seed: int, noise_seed: int | None
) -> tuple[np.random.Generator, np.random.Generator, np.random.Generator]:
    """Independent streams: object and pattern from `seed`, noise from `noise_seed` or `seed`."""
    object_seed, pattern_seed, noise = np.random.SeedSequence(seed).spawn(3)
    if noise_seed is not None:
        noise = np.random.SeedSequence(noise_seed).spawn(3)[2]
    return (
        np.random.default_rng(object_seed),
        np.random.default_rng(pattern_seed),
        np.random.default_rng(noise),
    )


def _scaled(density: np.ndarray, detector: Detector, peak_e: float) -> np.ndarray:
    if np.any(density < 0) or not np.all(np.isfinite(density)):
        raise UsageError("The object must be finite and not negative.", where="fine_object")
    peak = float(np.percentile(detector(density), 99.9))
    if peak <= 0:
        raise UsageError("The object is dark over the camera's field.", where="fine_object")
    return (density * (peak_e / peak)).astype(np.float32)


def _haze(density: np.ndarray, field: FineField, peak_e: float) -> np.ndarray:
    """Out-of-focus light: the object blurred by some µm, on the camera grid."""
    if peak_e == 0:
        return np.zeros(field.camera.shape, dtype=np.float32)
    coarse = _box_mean(density, field.fine)
    smooth = gaussian_filter(coarse, _HAZE_SIGMA_UM / field.camera.pixel_um, mode="reflect")
    m = field.margin
    smooth = smooth[m : m + field.camera.shape[0], m : m + field.camera.shape[1]]
    haze = smooth * (peak_e / float(np.percentile(smooth, 99.9)))
    return np.asarray(haze, dtype=np.float32)


def _moving(
    lit: Sequence[DirectionPattern], drift_um: np.ndarray, phases: int, *, shared: bool = False
) -> tuple[DirectionPattern, ...]:
    """The patterns with the sample's displacements; `shared`: all directions have those of A 0."""
    drift = np.asarray(drift_um, dtype=np.float64)
    if shared and drift.shape == (1, phases, 2):
        drift = np.repeat(drift, len(lit), axis=0)
    if drift.shape == (len(lit), 2):
        drift = np.repeat(drift[:, None], phases, axis=1)
    if drift.shape != (len(lit), phases, 2) or not np.isfinite(drift).all():
        raise UsageError(
            "drift_um needs one displacement (y, x) per frame or direction.",
            expected=f"({len(lit)}, {phases}, 2) or ({len(lit)}, 2)",
            got=str(drift.shape),
            where="simulate",
        )
    return tuple(
        replace(d, drift_um=tuple((float(y), float(x)) for y, x in one))
        for d, one in zip(lit, drift, strict=True)
    )


def _moved_haze(haze_e: np.ndarray, pattern: PatternFit) -> np.ndarray:
    """The haze of every frame, (A, P, Y, X) or broadcastable to it."""
    if not pattern.drifting or not haze_e.any():
        return haze_e
    firsts = [pattern.directions[members[0]] for members in pattern.frame_sets]
    moved = [
        [shift(haze_e, np.divide(u, pattern.pixel_um), mode="nearest") for u in d.drift_um]
        for d in firsts
    ]
    return np.asarray(moved, dtype=np.float32)


def _box_mean(image: np.ndarray, size: int) -> np.ndarray:
    rows, columns = (n // size for n in image.shape)
    blocks = image.reshape(rows, size, columns, size)
    return np.asarray(blocks.mean(axis=(1, 3), dtype=np.float64), dtype=np.float32)

"""The one sequence that every entrance calls: frames → pattern → operator → picture → verdict."""

from __future__ import annotations

import time as clock
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from simrecon import backend, provenance
from simrecon.channel_sharing import shared_patterns
from simrecon.checks import check_frames, saturation
from simrecon.config import ReconstructionSettings, Settings, as_settings
from simrecon.errors import QualityError, UsageError
from simrecon.estimate.out_of_focus import OutOfFocus, out_of_focus
from simrecon.explanation import explanation, order_hint
from simrecon.model.grid import Grid
from simrecon.model.pattern import PatternFit
from simrecon.model.psf import DetectionOTF
from simrecon.model.stack import SimStack
from simrecon.nonlinear import NonLinearPicture
from simrecon.planning import Plan, plan
from simrecon.preparation import (
    Acquisition,
    Channel,
    acquisition,
    find_pattern,
    gate_pattern,
    mean_acquisition,
    prepare_channel,
    preset_pattern,
)
from simrecon.qc import gates as qc_gates
from simrecon.qc.picture import picture_numbers
from simrecon.qc.raw_consistency import RawConsistency, judge
from simrecon.recon.attenuation import AUTO_STRENGTH, Attenuation
from simrecon.recon.operator import Reconstructor, Regularization
from simrecon.result import Progress, Result, no_progress

PSF_RADIUS_UM = 2.0

__all__ = ["Plan", "estimate_pattern", "plan", "reconstruct"]


@dataclass
class _Run:
    """State of one call of :func:`reconstruct` (never leaves this module)."""

    stack: SimStack
    settings: Settings
    device: backend.Device
    progress: Progress
    gates: qc_gates.Gates = field(default_factory=qc_gates.Gates)
    notes: list[str] = field(default_factory=list)
    timings: dict[str, float] = field(default_factory=dict)
    kind: str = "sim"
    given: bool = False

    def timed(self, stage: str, start: float) -> None:
        self.timings[stage] = self.timings.get(stage, 0.0) + clock.perf_counter() - start

    def note(self, *texts: str) -> None:
        self.notes.extend(t for t in texts if t not in self.notes)


def reconstruct(
    stack: SimStack,
    settings: Settings | ReconstructionSettings | None = None,
    *,
    otf: DetectionOTF | Sequence[DetectionOTF] | None = None,
    pattern: PatternFit | None = None,
    progress: Progress | None = None,
) -> Result:
    """Reconstruct every time point, channel and plane of a stack.

    Parameters
    ----------
    stack : SimStack
        Raw frames with optics and camera; the settings' sections on these are not used here.
    settings : Settings, ReconstructionSettings or None
        None: defaults.
    otf : DetectionOTF, sequence of them (one per channel) or None
        None: theoretical, from the stack's optics.
    pattern : PatternFit or None
        None: fitted. Complete: used as it is. With frequencies only: the rest is fitted.
    progress : callable, optional
        See :class:`simrecon.result.Progress`.

    Returns
    -------
    Result
        `passed` is False when a quality gate was not passed: the picture is there, marked.

    Raises
    ------
    InputError
        For frames, OTF or pattern that cannot be meant.
    QualityError
        When the pattern fit failed and ``on_fit_failure`` is "stop".
    DeviceError
        When a GPU was requested that cannot be used.
    """
    settings = as_settings(settings)
    device = backend.select_device(settings.reconstruction.device)
    run = _Run(stack, settings, device, progress or no_progress)
    run.given = pattern is not None and pattern.complete
    expected_cost = plan(stack, settings)
    run.note(*stack.notes, *check_frames(stack.data))
    qc_gates.gate_saturation(run.gates, *saturation(stack.data))
    channels = [prepare_channel(stack, c, settings, otf) for c in range(stack.data.shape[1])]
    for channel in channels:
        run.note(*channel.notes)
        qc_gates.gate_counts(run.gates, channel.evidence)
        qc_gates.gate_camera(run.gates, channel.noise_ratio, channel.camera.offset_known)
    arrays = _allocate(stack, settings)
    known = shared_patterns(stack, settings, channels, pattern)
    if settings.estimate.share_channels and known[0] is not None:
        run.note(*known[0].notes)
    grids = [_channel(run, c, p, arrays) for c, p in zip(channels, known, strict=True)]
    patterns = tuple(zip(*(g.patterns for g in grids), strict=True))
    operators = tuple(zip(*(g.operators for g in grids), strict=True))
    numbers = [n for g in grids for n in g.numbers]
    return _result(run, arrays, patterns, operators, numbers, channels, expected_cost)


def estimate_pattern(
    stack: SimStack,
    otf: DetectionOTF | Sequence[DetectionOTF] | None = None,
    settings: Settings | None = None,
    *,
    pattern: PatternFit | None = None,
    time: int = 0,
    channel: int = 0,
) -> PatternFit:
    """Fit the pattern of one time point and channel (middle plane), with the pipeline's checks.

    Parameters
    ----------
    stack : SimStack
    otf, settings, pattern
        See :func:`reconstruct`. With ``share_pattern`` the mean over all times and planes is
        fitted.
    time, channel : int
        Which acquisition, counted from 0.

    Raises
    ------
    UsageError
        When there is no such time point or channel.
    InputError
        For frames, OTF or pattern that cannot be meant.
    """
    settings = as_settings(settings)
    for name, index, axis in (("time", time, 0), ("channel", channel, 1)):
        count = int(stack.data.shape[axis])
        if not 0 <= index < count:
            raise UsageError(
                f"There is no such {name}.",
                expected=f"0 to {count - 1}",
                got=str(index),
                where=f"--{name}",
            )
    notes = check_frames(stack.data)
    prepared = prepare_channel(stack, channel, settings, otf)
    shared = settings.estimate.share_pattern
    middle = int(stack.data.shape[4]) // 2
    data = mean_acquisition(stack, prepared) if shared else None
    if data is None:
        data = acquisition(stack, prepared, time, middle)
    if settings.estimate.share_channels:
        every = [prepare_channel(stack, c, settings, otf) for c in range(stack.data.shape[1])]
        pattern = shared_patterns(stack, settings, every, pattern, time)[channel]
    fit = find_pattern(stack, settings, prepared, data, pattern)
    return replace(fit, notes=(*fit.notes, *notes, *prepared.notes))


@dataclass
class _Arrays:
    image: np.ndarray
    variance: np.ndarray | None
    widefield: np.ndarray


@dataclass
class _ChannelResult:
    patterns: list[PatternFit]
    operators: list[Reconstructor | None]
    numbers: list[dict[str, Any]]


def _allocate(stack: SimStack, settings: Settings) -> _Arrays:
    t, c, _, _, z, ny, nx = (int(n) for n in stack.data.shape)
    q = settings.reconstruction.zoom
    shape = (t, c, z, q * ny, q * nx)
    chosen = settings.reconstruction
    variance = np.zeros(shape, np.float32) if chosen.variance and chosen.linear else None
    return _Arrays(np.zeros(shape, np.float32), variance, np.zeros((t, c, z, ny, nx), np.float32))


def _channel(
    run: _Run, channel: Channel, given: PatternFit | None, arrays: _Arrays
) -> _ChannelResult:
    """All times and planes of one channel; the operator is built once where it may be."""
    stack, c = run.stack, channel.index
    times, planes = int(stack.data.shape[0]), int(stack.data.shape[4])
    shared = run.settings.estimate.share_pattern
    out = _ChannelResult([], [], [])
    pattern: PatternFit | None = None
    operator: Reconstructor | None = None
    haze: OutOfFocus | None = None
    check: RawConsistency | None = None
    solver: NonLinearPicture | None = None
    if planes > 1:
        what = "the mean of all times and planes" if shared else f"plane {planes // 2} (from 0)"
        run.note(f"the pattern of {what} was used for all {planes} planes")
    for t in range(times):
        middle = acquisition(stack, channel, t, planes // 2)
        if pattern is None or not shared:
            data = mean_acquisition(stack, channel) if shared else middle
            pattern = _pattern(run, channel, data, given, f"time {t}, channel {c}")
            haze = None if run.kind == "widefield" else _out_of_focus(run, channel, pattern, middle)
            operator = None
            if run.kind != "widefield":
                operator = _operator(run, channel, pattern, middle, haze)
            check = None if operator is None else _raw_check(run, operator, middle)
            solver = _solver(run, channel, operator, middle)
        others = []
        for z in range(planes):
            data = middle if z == planes // 2 else acquisition(stack, channel, t, z)
            made = _apply(run, operator, solver, data, arrays, (t, c, z))
            plane = _judge_plane(run, operator, check, pattern, data, arrays, (t, c, z))
            plane.update(made)
            others.append(plane)
        out.patterns.append(pattern)
        out.operators.append(operator)
        start = clock.perf_counter()
        z = planes // 2
        picture, wide = arrays.image[t, c, z], arrays.widefield[t, c, z]
        used = pattern if operator is not None else None
        numbers = picture_numbers(picture, wide, stack.pixel_um, used)
        numbers.update({"time": t, "channel": c, **others.pop(z)})
        numbers["intensity_variation"] = qc_gates.intensity_variation(pattern)
        if haze is not None:
            numbers["unmodulated_share"] = {"value": haze.share, "sd": haze.sd}
        if others:
            numbers["other_planes"] = others
        out.numbers.append(numbers)
        where = f"time {t}, channel {c}"
        qc_gates.gate_residual_pattern(run.gates, numbers.get("residual_peaks", ()), where)
        run.timed("qc", start)
        run.progress("reconstruct", c * times + t + 1, times * int(stack.data.shape[1]))
    return out


def _raw_check(run: _Run, operator: Reconstructor, data: Acquisition) -> RawConsistency:
    start = clock.perf_counter()
    assert operator.regularization is not None
    check = RawConsistency(
        operator.pattern,
        operator.otf,
        run.stack.grid,
        operator.regularization,
        data.frames_e,
        data.variance_e2,
    )
    run.timed("qc", start)
    return check


def _judge_plane(
    run: _Run,
    operator: Reconstructor | None,
    check: RawConsistency | None,
    pattern: PatternFit,
    data: Acquisition,
    arrays: _Arrays,
    where: tuple[int, int, int],
) -> dict[str, Any]:
    """Numbers and gates that every plane has: flux, negative light, agreement with the pattern."""
    start = clock.perf_counter()
    t, c, z = where
    planes = int(run.stack.data.shape[4])
    name = f"time {t}, channel {c}" + (f", plane {z}" if planes > 1 else "")
    numbers: dict[str, Any] = {
        "plane": z,
        **qc_gates.flux_numbers(arrays.image[where], arrays.widefield[where]),
    }
    attenuated = operator is not None and operator.attenuation is not None
    if operator is not None and attenuated:
        numbers["unmodulated_response"] = operator.unmodulated_response
    qc_gates.gate_flux(run.gates, numbers["flux_ratio"], name, attenuated=attenuated)
    qc_gates.gate_negative(run.gates, numbers["negative_fraction"], name)
    if check is not None:
        found = check(data.frames_e, data.variance_e2)
        numbers["raw_consistency"] = [d.to_dict() for d in found]
        verdict, text = judge(found, pattern, to_confirm=run.given and z == planes // 2)
        qc_gates.gate_raw_consistency(run.gates, verdict, text, name)
    run.timed("qc", start)
    return numbers


def _pattern(
    run: _Run, channel: Channel, data: Acquisition, given: PatternFit | None, where: str
) -> PatternFit:
    """The pattern of one acquisition, or what the user chose for a failed fit."""
    start = clock.perf_counter()
    choice = run.settings.reconstruction.on_fit_failure
    pattern = find_pattern(run.stack, run.settings, channel, data, given)
    if pattern.verdict == "failed" and choice == "preset" and given is None:
        run.note(*pattern.notes, "the fit failed: nominal frequencies of the preset were used")
        preset = preset_pattern(run.stack, run.settings, channel.index)
        pattern = find_pattern(run.stack, run.settings, channel, data, preset)
        run.gates.add("pattern", "weak", f"pattern ({where}): preset used, the fit failed")
    elif pattern.verdict == "failed" and choice == "widefield":
        run.kind = "widefield"
        run.note("the pattern fit failed: this is the WIDEFIELD picture, not a SIM picture")
    else:
        failed = pattern.verdict == "failed"
        hint = order_hint(data, run.stack.pixel_um) if failed else []
        gate_pattern(pattern, [*hint, *run.stack.notes, *channel.notes], given=given is not None)
    run.note(*pattern.notes)
    qc_gates.gate_pattern(run.gates, pattern, where)
    qc_gates.gate_intensity(run.gates, pattern, where)
    run.timed("estimate", start)
    return pattern


def _out_of_focus(
    run: _Run, channel: Channel, pattern: PatternFit, data: Acquisition
) -> OutOfFocus | None:
    """Light that does not follow the pattern at low frequencies, with a note where there is."""
    found = out_of_focus(data.frames_e, data.variance_e2, pattern, channel.otf)
    if found is not None and found.detected:
        removed = run.settings.reconstruction.attenuation != "off"
        run.note(
            f"out-of-focus light: {100 * found.share:.0f} % of the light at low frequencies does "
            "not follow the pattern (or the OTF is wrong at the pattern's frequency); "
            + ("it is attenuated" if removed else "it stays in (attenuation=auto removes it)")
        )
    return found


def _attenuation(chosen: ReconstructionSettings, haze: OutOfFocus | None) -> Attenuation | None:
    """What the settings ask for; "auto" acts only where out-of-focus light is detected."""
    strength = chosen.attenuation
    if strength == "off":
        return None
    if chosen.method != "wiener":
        raise UsageError(
            "Attenuation is part of the linear operator only.",
            expected="--method wiener with attenuation, or attenuation off",
            got=f"method {chosen.method}",
            where="reconstruction.attenuation",
        )
    if strength == "auto" and not (haze is not None and haze.detected):
        return None
    full = AUTO_STRENGTH if isinstance(strength, str) else strength
    return Attenuation(full, chosen.attenuation_fwhm_per_um)


def _operator(
    run: _Run,
    channel: Channel,
    pattern: PatternFit,
    data: Acquisition,
    haze: OutOfFocus | None,
) -> Reconstructor:
    start = clock.perf_counter()
    chosen = run.settings.reconstruction
    options: dict[str, Any] = {
        "frame_variance_e2": data.frame_variance_e2,
        "zoom": chosen.zoom,
        "apodization_kind": chosen.apodization,
        "attenuation": _attenuation(chosen, haze),
    }
    frames = backend.to_device(data.frames_e, run.device)
    grid = run.stack.grid
    if chosen.regularization == "auto":
        factor = chosen.regularization_factor
        operator = Reconstructor.from_frames(
            frames, pattern, channel.otf, grid, regularization_factor=factor, **options
        )
    else:
        constant = Regularization(wiener_constant=chosen.wiener_constant)
        operator = Reconstructor(
            pattern, channel.otf, grid, regularization=constant, reference=frames, **options
        )
    run.timed("build", start)
    return operator


def _solver(
    run: _Run, channel: Channel, operator: Reconstructor | None, data: Acquisition
) -> NonLinearPicture | None:
    """The iterative method, tuned on one acquisition; None for the linear picture."""
    if operator is None or run.settings.reconstruction.linear:
        return None
    start = clock.perf_counter()
    chosen = run.settings.reconstruction
    solver = NonLinearPicture(operator, chosen, channel.read_variance_e2, data, run.device)
    run.note(f"{chosen.method} is not linear in the frames: no variance map and no effective PSF")
    run.timed("tune", start)
    return solver


def _apply(
    run: _Run,
    operator: Reconstructor | None,
    solver: NonLinearPicture | None,
    data: Acquisition,
    arrays: _Arrays,
    where: tuple[int, int, int],
) -> dict[str, Any]:
    """Reconstruct one acquisition into the output arrays; numbers of an iterative method."""
    start = clock.perf_counter()
    arrays.widefield[where] = data.frames_e.mean(axis=(0, 1), dtype=np.float64)
    if operator is None:
        q = run.settings.reconstruction.zoom
        block = np.ones((q, q), np.float32)
        arrays.image[where] = np.kron(arrays.widefield[where], block)
        if arrays.variance is not None:
            n = data.frames_e.shape[0] * data.frames_e.shape[1]
            arrays.variance[where] = np.kron(data.variance_e2.sum(axis=(0, 1)) / n**2, block)
        run.timed("reconstruct", start)
        return {}
    frames = backend.to_device(data.frames_e, run.device)
    numbers: dict[str, Any] = {}
    if solver is None:
        arrays.image[where] = backend.to_numpy(operator.reconstruct(frames))
    else:
        arrays.image[where], found = solver(data)
        numbers["iterative"] = found
        qc_gates.gate_iterative(run.gates, found["chi2_reduced"], f"time, channel, plane {where}")
    run.timed("reconstruct", start)
    if arrays.variance is not None:
        start = clock.perf_counter()
        variance = backend.to_device(data.variance_e2, run.device)
        arrays.variance[where] = backend.to_numpy(operator.variance(variance))
        run.timed("variance", start)
    if not np.isfinite(arrays.image[where]).all():
        raise QualityError(
            "The reconstruction is not finite.", where=f"time, channel, plane {where}"
        )
    return numbers


def _psf(operators: Sequence[Reconstructor | None], zoomed: Grid) -> np.ndarray | None:
    """Effective PSFs (C, n, n) of the first time point, cropped to ±2 µm, each of sum 1;
    None for a widefield fallback.
    """
    if any(o is None for o in operators):
        return None
    radius = int(np.ceil(PSF_RADIUS_UM / zoomed.pixel_um))
    n = 2 * min(radius, (min(zoomed.shape) - 1) // 2) + 1
    psfs = [o.effective_psf((n, n)) for o in operators if o is not None]
    return np.stack([p / p.sum() for p in psfs])


def _result(
    run: _Run,
    arrays: _Arrays,
    patterns: tuple[tuple[PatternFit, ...], ...],
    operators: tuple[tuple[Any, ...], ...],
    numbers: list[dict[str, Any]],
    channels: Sequence[Channel],
    expected_cost: Plan,
) -> Result:
    """Assemble verdicts, numbers and provenance."""
    verdicts = run.gates.summary()
    why: list[dict[str, Any]] = []
    if verdicts["overall"] != "ok" and run.kind != "widefield":
        pictures = (arrays.image, arrays.variance)
        why = explanation(run.stack, run.settings, channels, patterns[0], pictures, numbers)
    cameras = [
        {
            **c.camera.summary(),
            "maps": c.camera.map_shape is not None,
            "bad_pixels": 0 if c.bad is None else len(c.bad.pixels),
            "source": c.camera.source,
            "values": c.evidence.verdict,
            "noise_measured_over_predicted": c.noise_ratio,
            "offset_known": c.camera.offset_known,
            "unevenness": None if c.light is None else c.light.to_dict(),
        }
        for c in channels
    ]
    qc = {
        "schema": "simrecon/qc/1",
        "kind": run.kind,
        "method": run.settings.reconstruction.method,
        "verdicts": verdicts,
        "reasons": run.gates.reasons,
        "explanation": why,
        "notes": run.notes,
        "acquisitions": numbers,
        "patterns": [[qc_gates.pattern_summary(p) for p in row] for row in patterns],
        "camera": cameras,
        "timings_s": {k: round(v, 4) for k, v in run.timings.items()},
        "plan": expected_cost.to_dict(),
    }
    made = provenance.record(
        settings=run.settings.model_dump(),
        device=f"{run.device.label}: {run.device.reason}",
        seed=None,
        extra_packages=("cupy-cuda12x", "cupy-cuda13x") if run.device.kind == "cuda" else (),
        kind=run.kind,
        patterns=[[p.to_dict() for p in row] for row in patterns],
        otf=[provenance.describe_otf(c.otf) for c in channels],
        camera=cameras,
        verdicts=verdicts,
    )
    return Result(
        image=arrays.image,
        variance=arrays.variance,
        widefield=arrays.widefield,
        effective_psf=_psf(operators[0], run.stack.grid.zoomed(run.settings.reconstruction.zoom))
        if run.settings.reconstruction.linear
        else None,
        grid=run.stack.grid.zoomed(run.settings.reconstruction.zoom),
        patterns=patterns,
        verdicts=verdicts,
        qc=qc,
        provenance=made,
        reconstructors=operators,
        kind=run.kind,
    )

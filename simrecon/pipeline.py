"""The one sequence that every entrance calls: frames → pattern → operator → picture → verdict."""

from __future__ import annotations

import time as clock
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from simrecon import backend, provenance
from simrecon.channel_sharing import shared_patterns, shares_channels
from simrecon.checks import check_frames, saturation
from simrecon.config import ReconstructionSettings, Settings, as_settings
from simrecon.errors import UsageError
from simrecon.estimate.out_of_focus import OutOfFocus
from simrecon.explanation import explanation
from simrecon.given_pattern import given_to
from simrecon.model.grid import AnyGrid, Grid
from simrecon.model.mode import VOLUME_MODES
from simrecon.model.pattern import PatternFit
from simrecon.model.psf import AnyOTF
from simrecon.model.stack import SimStack
from simrecon.planning import Plan, plan
from simrecon.preparation import (
    Channel,
    acquisition,
    find_pattern,
    mean_acquisition,
    pattern_acquisition,
    prepare_channel,
)
from simrecon.qc import gates as qc_gates
from simrecon.qc.picture import picture_numbers
from simrecon.recon.operator import Reconstructor
from simrecon.result import Progress, Result, no_progress
from simrecon.run import Arrays, ChannelResult, Run, allocate
from simrecon.steps import (
    Tools,
    apply,
    choose_pattern,
    judge_plane,
    measure_out_of_focus,
    own_pattern,
    tools_for,
)
from simrecon.volume_frames import check_sheet
from simrecon.volume_light import volume_light
from simrecon.volumes import (
    volume_arrays,
    volume_channel,
    volume_pattern,
    volume_place,
    volume_psf,
)

PSF_RADIUS_UM = 2.0

__all__ = ["Plan", "estimate_pattern", "plan", "reconstruct"]


def reconstruct(
    stack: SimStack,
    settings: Settings | ReconstructionSettings | None = None,
    *,
    otf: AnyOTF | Sequence[AnyOTF] | None = None,
    pattern: PatternFit | Sequence[PatternFit] | None = None,
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
        None: theoretical, from the stack's optics. For volumes (mode 3d): VolumeOTF.
    pattern : PatternFit, sequence of them (one per channel) or None
        None: fitted. Complete: used as it is. With frequencies (and phase steps) only: the rest is
        fitted.
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
    check_sheet(settings)
    device = backend.select_device(settings.reconstruction.device)
    run = Run(stack, settings, device, progress or no_progress)
    if pattern is not None:
        given = [pattern] if isinstance(pattern, PatternFit) else pattern
        run.pattern_source = "complete" if all(p.complete for p in given) else "frequencies"
    expected_cost = plan(stack, settings)
    run.note(*stack.notes, *check_frames(stack.data))
    qc_gates.gate_saturation(run.gates, *saturation(stack.data))
    volumes = settings.reconstruction.mode in VOLUME_MODES
    planar = None if volumes else otf
    channels = [prepare_channel(stack, c, settings, planar) for c in range(stack.data.shape[1])]
    for channel in channels:
        run.note_channel(channel.index, *channel.notes)
        qc_gates.gate_counts(run.gates, channel.evidence)
        camera = channel.camera
        qc_gates.gate_camera(run.gates, channel.noise_ratio, camera.offset_known, camera.doubts)
    arrays = volume_arrays(stack, settings) if volumes else allocate(stack, settings)
    otfs: list[AnyOTF] = [c.otf for c in channels]
    if volumes:
        lights = [volume_light(stack, c.index, settings, otf) for c in channels]
        otfs = [light.otf for light in lights]
        for c, light in zip(channels, lights, strict=True):
            run.note_channel(c.index, *light.notes)
        grids = [
            volume_channel(run, c, given_to(pattern, stack, c.index), light, arrays)
            for c, light in zip(channels, lights, strict=True)
        ]
    else:
        known = shared_patterns(stack, settings, channels, pattern)
        if settings.estimate.share_channels and known[0] is not None:
            run.note(*known[0].notes)
        grids = [_channel(run, c, p, arrays) for c, p in zip(channels, known, strict=True)]
    patterns = tuple(zip(*(g.patterns for g in grids), strict=True))
    operators = tuple(zip(*(g.operators for g in grids), strict=True))
    numbers = [n for g in grids for n in g.numbers]
    return _result(run, arrays, patterns, operators, numbers, channels, otfs, expected_cost)


def estimate_pattern(
    stack: SimStack,
    otf: AnyOTF | Sequence[AnyOTF] | None = None,
    settings: Settings | None = None,
    *,
    pattern: PatternFit | Sequence[PatternFit] | None = None,
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
    check_sheet(settings)
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
    if settings.reconstruction.mode in VOLUME_MODES:
        prepared = prepare_channel(stack, channel, settings, None)
        fit = volume_pattern(
            stack, settings, prepared, otf, given_to(pattern, stack, channel), time
        )
        return replace(fit, notes=(*fit.notes, *notes, *prepared.notes))
    prepared = prepare_channel(stack, channel, settings, otf)
    data = pattern_acquisition(stack, settings, prepared, time)
    if settings.estimate.share_channels:
        every = [prepare_channel(stack, c, settings, otf) for c in range(stack.data.shape[1])]
        given = shared_patterns(stack, settings, every, pattern, time)[channel]
    else:
        (given,) = shared_patterns(stack, settings, [prepared], pattern, time)
    among = shares_channels(settings, len(stack.optics))
    fit = find_pattern(stack, settings, prepared, data, given, shared=among)
    return replace(fit, notes=(*fit.notes, *notes, *prepared.notes))


def _channel(run: Run, channel: Channel, given: PatternFit | None, arrays: Arrays) -> ChannelResult:
    """All times and planes of one channel; the operator is built once where it may be."""
    stack, c = run.stack, channel.index
    times, planes = int(stack.data.shape[0]), int(stack.data.shape[4])
    shared = run.settings.estimate.share_pattern
    out = ChannelResult([], [], [])
    pattern: PatternFit | None = None
    haze: OutOfFocus | None = None
    known: list[Tools] = []
    if planes > 1:
        what = "the mean of all times and planes" if shared else f"plane {planes // 2} (from 0)"
        run.note(f"the pattern of {what} was used for all {planes} planes")
    for t in range(times):
        z = planes // 2
        where = f"time {t}, channel {c}"
        middle = acquisition(stack, channel, t, z)
        fresh = pattern is None or not shared
        if pattern is None or not shared:
            data = mean_acquisition(stack, channel) if shared else middle
            pattern = choose_pattern(run, channel, data, given, where)
            known = []
        own = own_pattern(run, channel, pattern, middle, where) if shared else pattern
        if fresh:
            haze = measure_out_of_focus(run, channel, own, middle)
        main = tools_for(run, channel, own, middle, haze, known)
        others = []
        for plane in range(planes):
            data, tools = middle, main
            if plane != z:
                data = acquisition(stack, channel, t, plane)
                used = own_pattern(run, channel, pattern, data, f"{where}, plane {plane}")
                if used is not own:
                    tools = tools_for(run, channel, used, data, haze, known)
            at = (t, c, plane)
            made = apply(run, tools.operator, tools.solver, data, arrays, at)
            found = judge_plane(run, tools.operator, tools.check, tools.pattern, data, arrays, at)
            if plane != z and tools.pattern.drifting:
                found["drift_um"] = [d.drift_um for d in tools.pattern.directions]
            others.append({**found, **made})
        out.patterns.append(own)
        out.operators.append(main.operator)
        out.numbers.append(_numbers(run, main, haze, others, arrays, (t, c, z)))
        run.progress("reconstruct", c * times + t + 1, times * int(stack.data.shape[1]))
    return out


def _numbers(
    run: Run,
    tools: Tools,
    haze: OutOfFocus | None,
    planes: list[dict[str, Any]],
    arrays: Arrays,
    where: tuple[int, int, int],
) -> dict[str, Any]:
    """Entry of ``qc.json`` on one time and channel, from the numbers of its planes."""
    start = clock.perf_counter()
    t, c, middle = where
    used = tools.pattern if tools.operator is not None else None
    picture, wide = arrays.image[where], arrays.widefield[where]
    numbers = picture_numbers(picture, wide, run.stack.pixel_um, used)
    others = [n for z, n in enumerate(planes) if z != middle]
    numbers.update({"time": t, "channel": c, **planes[middle]})
    numbers["kind"] = "sim" if used is not None else "widefield"
    numbers["intensity_variation"] = qc_gates.intensity_variation(tools.pattern)
    if haze is not None:
        numbers["unmodulated_share"] = {"value": haze.share, "sd": haze.sd}
    if others:
        numbers["other_planes"] = others
    peaks = numbers.get("residual_peaks", ())
    qc_gates.gate_residual_pattern(run.gates, peaks, f"time {t}, channel {c}")
    run.timed("qc", start)
    return numbers


def _psf(operators: Sequence[Reconstructor | None], zoomed: Grid) -> np.ndarray | None:
    """Effective PSFs (C, n, n), or (C, Z, n, n), of the first time point, each of sum 1.

    Cropped to ±2 µm laterally; None for a widefield fallback.
    """
    if any(o is None for o in operators):
        return None
    radius = int(np.ceil(PSF_RADIUS_UM / zoomed.pixel_um))
    n = 2 * min(radius, (min(zoomed.shape) - 1) // 2) + 1
    made = [o for o in operators if o is not None]
    if made and len(made[0].grid.shape) == 3:
        return np.stack([volume_psf(o, n) for o in made])
    psfs = [o.effective_psf((n, n)) for o in made]
    return np.stack([p / p.sum() for p in psfs])


def _result(
    run: Run,
    arrays: Arrays,
    patterns: tuple[tuple[PatternFit, ...], ...],
    operators: tuple[tuple[Any, ...], ...],
    numbers: list[dict[str, Any]],
    channels: Sequence[Channel],
    otfs: Sequence[AnyOTF],
    expected_cost: Plan,
) -> Result:
    """Assemble verdicts, numbers and provenance."""
    verdicts = run.gates.summary()
    why: list[dict[str, Any]] = []
    planar = run.settings.reconstruction.mode not in VOLUME_MODES
    if planar and verdicts["overall"] != "ok" and run.kind != "widefield":
        pictures = (arrays.image, arrays.variance)
        why = explanation(
            run.stack, run.settings, channels, patterns[0], pictures, numbers, run.pattern_source
        )
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
    zoomed = run.stack.grid.zoomed(run.settings.reconstruction.zoom)
    grid: AnyGrid = zoomed
    origin = (zoomed.offset_um, zoomed.offset_um)
    if not planar:
        grid, origin = volume_place(run.stack, run.settings)
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
        "origin_um": list(origin),
    }
    made = provenance.record(
        settings=run.settings.model_dump(),
        device=f"{run.device.label}: {run.device.reason}",
        seed=None,
        extra_packages=("cupy-cuda12x", "cupy-cuda13x") if run.device.kind == "cuda" else (),
        kind=run.kind,
        patterns=[[p.to_dict() for p in row] for row in patterns],
        emission_nm=[o.emission_nm for o in run.stack.optics],
        otf=[provenance.describe_otf(o) for o in otfs],
        camera=cameras,
        verdicts=verdicts,
    )
    return Result(
        image=arrays.image,
        variance=arrays.variance,
        widefield=arrays.widefield,
        effective_psf=_psf(operators[0], zoomed) if run.settings.reconstruction.linear else None,
        grid=grid,
        origin_um=origin,
        patterns=patterns,
        verdicts=verdicts,
        qc=qc,
        provenance=made,
        reconstructors=operators,
        kind=run.kind,
    )

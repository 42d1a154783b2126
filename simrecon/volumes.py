"""Volumes: the pipeline's steps on all planes of a time point and channel together.

3D-SIM and lattice light-sheet SIM differ in their OTFs, and in the skew of a stage scan.
"""

from __future__ import annotations

import time as clock
from collections.abc import Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from simrecon import backend
from simrecon.config import Settings
from simrecon.errors import InputError, QualityError
from simrecon.estimate.volume import estimate_volume_pattern
from simrecon.given_pattern import as_given, taken_from, with_given_errors
from simrecon.model.grid import VolumeGrid
from simrecon.model.optics import Optics
from simrecon.model.pattern import PatternFit, worst
from simrecon.model.psf import AnyOTF, AnyVolumeOTF, DetectionOTF, of_direction
from simrecon.model.stack import SimStack
from simrecon.physics.otf_volume_checks import three_beam_doubt
from simrecon.planning import volume_memory_left_gb
from simrecon.preparation import (
    Acquisition,
    Channel,
    check_frequency,
    check_pattern,
    gate_pattern,
)
from simrecon.qc import gates as qc_gates
from simrecon.qc.picture import picture_numbers
from simrecon.recon.attenuation import DISTANT_LIGHT, DISTANT_LIGHT_OF_SHEET, CentreWeight
from simrecon.recon.deskew import Deskewing
from simrecon.recon.operator import Reconstructor, Regularization
from simrecon.recon.tiling import TiledReconstructor, reconstructor_within
from simrecon.run import Arrays, ChannelResult, Run
from simrecon.stage_check import check_stage
from simrecon.volume_doubts import doubts
from simrecon.volume_frames import check_settings, mean_volume, volume_acquisition, volume_grid
from simrecon.volume_light import VolumeLight, lattice_of, volume_light

NOT_MEASURED = (
    "mode {}: drift and local changes of the pattern are not measured; the verdict uses the limits "
    "of planes, with which none of 93 simulated directions that were ok was off"
)


def volume_channel(
    run: Run,
    channel: Channel,
    given: PatternFit | None,
    light: VolumeLight,
    arrays: Arrays,
) -> ChannelResult:
    """All times of one channel."""
    stack, c = run.stack, channel.index
    check_settings(run.settings)
    grid = volume_grid(stack, run.settings)
    shared = run.settings.estimate.share_pattern
    out = ChannelResult([], [], [])
    pattern: PatternFit | None = None
    operator: Reconstructor | TiledReconstructor | None = None
    for t in range(int(stack.data.shape[0])):
        where = f"time {t}, channel {c}"
        data = volume_acquisition(stack, channel, t)
        if pattern is None or not shared:
            seen = mean_volume(stack, channel) if shared else data
            pattern = _pattern(run, channel, grid, light, seen, given, where)
            operator = None
            if pattern.verdict != "failed":
                operator = _operator(run, pattern, grid, light.of(pattern), data)
        _apply(run, operator, data, arrays, (t, c))
        out.patterns.append(pattern)
        out.operators.append(operator)
        out.numbers.append(_numbers(run, pattern, operator, arrays, (t, c)))
        times, channels = (int(n) for n in stack.data.shape[:2])
        run.progress("reconstruct", c * times + t + 1, times * channels)
    return out


def volume_pattern(
    stack: SimStack,
    settings: Settings,
    channel: Channel,
    otf: AnyOTF | Sequence[AnyOTF] | None,
    given: PatternFit | None,
    time: int,
) -> PatternFit:
    """The pattern of one time point, for :func:`simrecon.pipeline.estimate_pattern`."""
    check_settings(settings)
    light = volume_light(stack, channel.index, settings, otf)
    shared = settings.estimate.share_pattern
    data = mean_volume(stack, channel) if shared else volume_acquisition(stack, channel, time)
    fit = fit_volume(stack, settings, channel, volume_grid(stack, settings), light, data, given)
    return replace(fit, notes=(*fit.notes, *light.notes))


def volume_arrays(stack: SimStack, settings: Settings) -> Arrays:
    """Zeroed output arrays; of a stage scan those of the deskewed field."""
    raw = volume_grid(stack, settings)
    chosen = settings.reconstruction
    lead = (int(stack.data.shape[0]), int(stack.data.shape[1]))
    wide, fine = (Deskewing.of(raw, q).grid.shape for q in (1, chosen.zoom))
    variance = np.zeros((*lead, *fine), np.float32) if chosen.variance else None
    return Arrays(
        np.zeros((*lead, *fine), np.float32), variance, np.zeros((*lead, *wide), np.float32)
    )


def volume_place(stack: SimStack, settings: Settings) -> tuple[VolumeGrid, tuple[float, float]]:
    """Grid of the volumes that come out, and where its pixel (0, 0) is, (y, x), µm."""
    space = Deskewing.of(volume_grid(stack, settings), settings.reconstruction.zoom)
    return space.grid, space.origin_um


def volume_psf(operator: Reconstructor | TiledReconstructor, side: int) -> np.ndarray:
    """The middle of an operator's PSF (Z, n, n) in space, an odd number of planes; sum 1."""
    grid = operator.sr_grid
    planes = grid.shape[0] - (grid.shape[0] + 1) % 2
    psf: np.ndarray = operator.effective_psf((planes, side, side))
    if isinstance(grid, VolumeGrid) and grid.shear != (0.0, 0.0):
        psf = np.asarray(Deskewing.of_psf(replace(grid, shape=psf.shape)).image(psf))
    return np.asarray(psf / psf.sum())


def fit_volume(
    stack: SimStack,
    settings: Settings,
    channel: Channel,
    grid: VolumeGrid,
    light: VolumeLight,
    data: Acquisition,
    given: PatternFit | None,
) -> PatternFit:
    """Take a complete given pattern, or fit what is not given."""
    optics = stack.optics[channel.index]
    orders = light.otf.orders - 1
    moving: tuple[str, ...] = ()
    if settings.reconstruction.mode == "lls":
        moving = check_stage(data.frames_e.mean(axis=(0, 1)), grid, settings)
    if given is not None:
        check_pattern(given, stack, channel.otf)
        _check_orders(given, orders, channel.otf)
        if given.complete:
            return _with_sheet(as_given(given, settings.estimate), light, settings)
    period, finest = settings.estimate.period_um, optics.pattern_frequency_per_um
    expected = 1.0 / period if period is not None else None
    if expected is None and settings.reconstruction.mode == "lls":
        sheet = settings.sheet
        if sheet.lattice_na_max is not None and sheet.lattice_na_min is not None:
            expected = lattice_of(optics, settings).fundamental_per_um
    elif expected is None and finest is not None:
        expected = finest / orders
    fixed = None if given is None else [d.frequency_per_um for d in given.directions]
    offset = settings.sheet.sheet_offset_um
    fit = estimate_volume_pattern(
        data.frames_e,
        grid,
        light.otf,
        variance_e2=data.variance_e2,
        expected_frequency_per_um=expected,
        expected_angles_rad=settings.estimate.angles_rad,
        fixed_frequencies_per_um=fixed,
        order=stack.order,
        otf_at=light.at,
        sheet_offset_um=None if offset == "auto" else offset,
        phase_step_um=settings.sheet.phase_step_um,
    )
    fit = _with_sheet(fit, light, settings)
    mode = settings.reconstruction.mode
    notes = [*moving, *fit.notes, NOT_MEASURED.format(mode)]
    if fit.verdict == "failed":
        notes = [*doubts(stack, settings, light.otf if light.measured else None), *notes]
    else:
        doubt = _contradiction(fit, light, optics, settings)
        verdict = worst([fit.verdict, "weak"]) if doubt else fit.verdict
        fit, notes = replace(fit, verdict=verdict), [*doubt, *notes]
    if given is not None:
        fit = with_given_errors(fit, given)
        notes.append(taken_from(given))
    return replace(fit, notes=tuple(notes))


def _contradiction(
    fit: PatternFit, light: VolumeLight, optics: Optics, settings: Settings
) -> list[str]:
    """A sentence on light that cannot be that of the OTF: by itself, or by the period found."""
    found: list[str | None] = [light.doubt or None]
    for n, d in enumerate(fit.directions):
        if settings.reconstruction.mode == "3d":
            found.append(three_beam_doubt(of_direction(light.otf, n), optics, 1.0 / d.period_um))
        elif not light.measured:
            found.append(lattice_of(optics, settings).doubt(1.0 / d.period_um))
    return [text for text in found if text is not None][:1]


def _check_orders(given: PatternFit, orders: int, otf: DetectionOTF) -> None:
    """Refuse a pattern whose highest order nobody can see, or a complete one that lacks orders."""
    for number, d in enumerate(given.directions):
        finest = orders * float(np.hypot(*d.frequency_per_um))
        check_frequency(finest, otf, f"order {orders} of direction {number + 1} of the pattern")
    found = sorted({len(d.modulation) for d in given.directions})
    if given.complete and found != [orders]:
        raise InputError(
            "The pattern does not fit the data: number of orders.",
            expected=f"{orders} (the OTF has orders 0 to {orders})",
            got=", ".join(map(str, found)),
            where="--pattern",
            hint="run 'simrecon estimate' on these data, or give the OTF of that light",
        )


def _with_sheet(fit: PatternFit, light: VolumeLight, settings: Settings) -> PatternFit:
    """A pattern that says where its sheet is: as found, or as told.

    A number in the settings goes before that of a given pattern; a given pattern without one means
    a sheet in the focal plane, which a note then says.
    """
    if light.at is None:
        return fit
    told, notes = settings.sheet.sheet_offset_um, fit.notes
    known = [d.sheet_offset_um is not None for d in fit.directions]
    if told == "auto" and all(known):
        return fit
    if told == "auto":
        notes = (*notes, "the pattern does not say where the sheet is: the focal plane is taken")
    offset = 0.0 if told == "auto" else told
    directions = tuple(
        replace(d, sheet_offset_um=offset, sheet_offset_sd_um=None) for d in fit.directions
    )
    return replace(fit, directions=directions, notes=notes)


def _pattern(
    run: Run,
    channel: Channel,
    grid: VolumeGrid,
    light: VolumeLight,
    data: Acquisition,
    given: PatternFit | None,
    where: str,
) -> PatternFit:
    start = clock.perf_counter()
    pattern = fit_volume(run.stack, run.settings, channel, grid, light, data, given)
    choice = run.settings.reconstruction.on_fit_failure
    if pattern.verdict == "failed" and choice == "widefield":
        run.kind = "widefield"
        run.note(f"the pattern fit failed ({where}): this is the WIDEFIELD volume, not SIM")
    else:
        gate_pattern(
            pattern, [*run.stack.notes, *channel.notes], given=given is not None and given.complete
        )
    run.note_channel(channel.index, *pattern.notes)
    qc_gates.gate_pattern(run.gates, pattern, where)
    qc_gates.gate_intensity(run.gates, pattern, where)
    run.timed("estimate", start)
    return pattern


def _operator(
    run: Run, pattern: PatternFit, grid: VolumeGrid, otf: AnyVolumeOTF, data: Acquisition
) -> Reconstructor | TiledReconstructor:
    """The linear operator of one volume, in tiles where the memory is limited."""
    start = clock.perf_counter()
    chosen = run.settings.reconstruction
    options: dict[str, Any] = {"attenuation": _distant_light(run.settings)}
    if chosen.regularization == "auto":
        options["regularization_factor"] = chosen.regularization_factor
    else:
        options["regularization"] = Regularization(wiener_constant=chosen.wiener_constant)
    operator = reconstructor_within(
        None if chosen.max_memory_gb is None else volume_memory_left_gb(run.stack, run.settings),
        backend.to_device(data.frames_e, run.device),
        pattern,
        otf,
        grid,
        variance=chosen.variance,
        frame_variance_e2=data.frame_variance_e2,
        zoom=chosen.zoom,
        apodization_kind=chosen.apodization,
        **options,
    )
    run.timed("build", start)
    return operator


def _distant_light(settings: Settings) -> CentreWeight | None:
    """Weights that keep light from beyond the stack out of it."""
    chosen = settings.reconstruction
    if chosen.distant_light == "off":
        return None
    return DISTANT_LIGHT_OF_SHEET if chosen.mode == "lls" else DISTANT_LIGHT


def _apply(
    run: Run,
    operator: Reconstructor | TiledReconstructor | None,
    data: Acquisition,
    arrays: Arrays,
    where: tuple[int, int],
) -> None:
    """Reconstruct one volume into the output arrays; without operator, the widefield."""
    start = clock.perf_counter()
    raw = volume_grid(run.stack, run.settings)
    q = run.settings.reconstruction.zoom
    wide, fine = Deskewing.of(raw), Deskewing.of(raw, q)
    seen = data.frames_e.mean(axis=(0, 1), dtype=np.float64)
    arrays.widefield[where] = wide.image(seen.astype(np.float32))
    if operator is None:
        block = np.ones((1, q, q), np.float32)
        arrays.image[where] = fine.image(np.kron(seen.astype(np.float32), block))
        if arrays.variance is not None:
            n = data.frames_e.shape[0] * data.frames_e.shape[1]
            spread = np.kron(data.variance_e2.sum(axis=(0, 1)) / n**2, block)
            arrays.variance[where] = fine.variance(spread)
        run.timed("reconstruct", start)
        return
    frames = backend.to_device(data.frames_e, run.device)
    arrays.image[where] = backend.to_numpy(fine.image(operator.reconstruct(frames)))
    run.timed("reconstruct", start)
    if arrays.variance is not None:
        start = clock.perf_counter()
        variance = backend.to_device(data.variance_e2, run.device)
        arrays.variance[where] = backend.to_numpy(fine.variance(operator.variance(variance)))
        run.timed("variance", start)
    # outside the skewed field of a stage scan there is nothing
    if np.count_nonzero(np.isfinite(arrays.image[where])) < prod(fine.shape):
        raise QualityError("The reconstruction is not finite.", where=f"time, channel {where}")


def _numbers(
    run: Run,
    pattern: PatternFit,
    operator: Reconstructor | TiledReconstructor | None,
    arrays: Arrays,
    where: tuple[int, int],
) -> dict[str, Any]:
    """Entry of ``qc.json``: light of the whole volume, spectrum of its middle plane."""
    start = clock.perf_counter()
    t, c = where
    name = f"time {t}, channel {c}"
    z = arrays.image.shape[2] // 2
    used = pattern if operator is not None else None
    image, wide = _covered(run, arrays.image[t, c, z], arrays.widefield[t, c, z], z)
    numbers = picture_numbers(image, wide, run.stack.pixel_um, used)
    picture, seen = (a[where][np.isfinite(a[where])] for a in (arrays.image, arrays.widefield))
    numbers.update(qc_gates.flux_numbers(picture, seen))
    numbers.update({"time": t, "channel": c, "plane": z})
    numbers["kind"] = "sim" if used is not None else "widefield"
    numbers["intensity_variation"] = qc_gates.intensity_variation(pattern)
    if used is None or _distant_light(run.settings) is None:
        qc_gates.gate_flux(run.gates, numbers["flux_ratio"], name)
    else:
        numbers["flux_note"] = "of the object in the stack to all light in its frames; not judged"
    qc_gates.gate_negative(run.gates, numbers["negative_fraction"], name)
    peaks = numbers.get("residual_peaks", ())
    qc_gates.gate_residual_pattern(run.gates, peaks, f"{name}, plane {z}")
    run.timed("qc", start)
    return numbers


def _covered(
    run: Run, image: np.ndarray, wide: np.ndarray, plane: int
) -> tuple[np.ndarray, np.ndarray]:
    """Picture and widefield of a plane where both have been."""
    raw = volume_grid(run.stack, run.settings)
    zoom = run.settings.reconstruction.zoom
    border = int(raw.shear != (0.0, 0.0))  # both lie in space to the whole pixel of their own
    y, x = (slice(s.start + border, s.stop - border) for s in Deskewing.of(raw).place(plane))
    fine = [slice(zoom * s.start, zoom * s.stop) for s in (y, x)]
    return image[fine[0], fine[1]], wide[y, x]

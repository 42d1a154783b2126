"""Steps of the pipeline on one acquisition: pattern, operator, picture, judgement."""

from __future__ import annotations

import time as clock
from dataclasses import dataclass
from typing import Any

import numpy as np

from simrecon import backend
from simrecon.carrier_patterns import SEVERAL
from simrecon.channel_sharing import shares_channels
from simrecon.config import ReconstructionSettings
from simrecon.errors import QualityError, UsageError
from simrecon.estimate.drift import correct_drift, without_drift
from simrecon.estimate.out_of_focus import OutOfFocus, out_of_focus
from simrecon.explanation import order_hint
from simrecon.given_pattern import preset_pattern
from simrecon.model.pattern import PatternFit
from simrecon.nonlinear import NonLinearPicture
from simrecon.preparation import (
    Acquisition,
    Channel,
    find_pattern,
    gate_pattern,
)
from simrecon.qc import gates as qc_gates
from simrecon.qc.raw_consistency import RawConsistency, judge
from simrecon.recon.attenuation import AUTO_STRENGTH, Attenuation
from simrecon.recon.operator import Reconstructor, Regularization
from simrecon.run import Arrays, Run


def raw_check(run: Run, operator: Reconstructor, data: Acquisition) -> RawConsistency:
    """The test of frames against the operator's pattern, tuned on one acquisition."""
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


def judge_plane(
    run: Run,
    operator: Reconstructor | None,
    check: RawConsistency | None,
    pattern: PatternFit,
    data: Acquisition,
    arrays: Arrays,
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
        verdict, text = judge(
            found, pattern, to_confirm=run.pattern_source == "complete" and z == planes // 2
        )
        qc_gates.gate_raw_consistency(run.gates, verdict, text, name)
    run.timed("qc", start)
    return numbers


def choose_pattern(
    run: Run, channel: Channel, data: Acquisition, given: PatternFit | None, where: str
) -> PatternFit:
    """The pattern of one acquisition, or what the user chose for a failed fit."""
    start = clock.perf_counter()
    choice = run.settings.reconstruction.on_fit_failure
    shared = shares_channels(run.settings, len(run.stack.optics))
    vouched = given is not None and not shared
    pattern = find_pattern(run.stack, run.settings, channel, data, given, shared=shared)
    if pattern.verdict == "failed" and choice == "preset" and not vouched:
        said = "the fit failed: nominal frequencies of the preset were used"
        run.note_channel(channel.index, *pattern.notes, said)
        preset = preset_pattern(run.stack, run.settings, channel.index, pattern)
        pattern = find_pattern(run.stack, run.settings, channel, data, preset)
        run.gates.add("pattern", "weak", f"pattern ({where}): preset used, the fit failed")
    elif pattern.verdict == "failed" and choice == "widefield":
        run.kind = "widefield"
        run.note(
            f"the pattern fit failed ({where}): this is the WIDEFIELD picture, not a SIM picture"
        )
    else:
        failed = pattern.verdict == "failed"
        hint = order_hint(data, run.stack.pixel_um) if failed else []
        gate_pattern(pattern, [*hint, *run.stack.notes, *channel.notes], given=vouched)
    run.note_channel(channel.index, *pattern.notes)
    qc_gates.gate_pattern(run.gates, pattern, where)
    qc_gates.gate_intensity(run.gates, pattern, where)
    run.timed("estimate", start)
    return pattern


def own_pattern(
    run: Run, channel: Channel, pattern: PatternFit, data: Acquisition, where: str
) -> PatternFit:
    """The pattern of other frames for these: the instrument's phases, the drift of these frames.

    A pattern that came with the call is used as it is.
    """
    if (
        run.pattern_source == "complete"
        or run.settings.estimate.drift == "off"
        or run.settings.reconstruction.mode in SEVERAL
        or pattern.verdict == "failed"
    ):
        return pattern
    start = clock.perf_counter()
    still = without_drift(pattern)
    own = correct_drift(data.frames_e, data.variance_e2, still, channel.otf, None)
    if own.drifting:
        run.note(f"{where}: {own.notes[-1]}")
        if own.verdict != still.verdict:
            run.gates.add("pattern", own.verdict, f"pattern ({where}): {own.notes[-1]}")
    run.timed("estimate", start)
    return own


def measure_out_of_focus(
    run: Run, channel: Channel, pattern: PatternFit, data: Acquisition
) -> OutOfFocus | None:
    """Light that does not follow the pattern at low frequencies, with a note where there is."""
    if pattern.verdict == "failed":
        return None
    found = out_of_focus(data.frames_e, data.variance_e2, pattern, channel.otf)
    if found is not None and found.detected:
        removed = run.settings.reconstruction.attenuation != "off"
        run.note_channel(
            channel.index,
            f"out-of-focus light: {100 * found.share:.0f} % of the light at low frequencies does "
            "not follow the pattern (or the OTF is wrong at the pattern's frequency); "
            + ("it is attenuated" if removed else "it stays in (attenuation=auto removes it)"),
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


def build_operator(
    run: Run,
    channel: Channel,
    pattern: PatternFit,
    data: Acquisition,
    haze: OutOfFocus | None,
) -> Reconstructor:
    """The linear operator of one acquisition, with the regularisation that was chosen."""
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
    _say_zoom(run, operator)
    run.timed("build", start)
    return operator


def _say_zoom(run: Run, operator: Reconstructor) -> None:
    """A note when the output grid is too coarse for the finest detail of several carriers."""
    edge = max(float(np.hypot(*b.carrier_per_um)) for b in operator.bands)
    edge += operator.otf.cutoff_per_um
    pixel_um = run.stack.pixel_um
    needed = int(np.ceil(2.0 * edge * pixel_um))
    if needed > operator.zoom > 1:
        run.note(
            f"the frames hold periods down to {1e3 / edge:.0f} nm, output pixels show "
            f"{2e3 * pixel_um / operator.zoom:.0f} nm at best: zoom={needed} keeps all of it"
        )


def build_solver(
    run: Run, channel: Channel, operator: Reconstructor | None, data: Acquisition
) -> NonLinearPicture | None:
    """The iterative method, tuned on one acquisition; None for the linear picture."""
    if operator is None or run.settings.reconstruction.linear:
        return None
    start = clock.perf_counter()
    chosen = run.settings.reconstruction
    solver = NonLinearPicture(operator, chosen, data, run.device)
    run.note(f"{chosen.method} is not linear in the frames: no variance map and no effective PSF")
    run.timed("tune", start)
    return solver


def apply(
    run: Run,
    operator: Reconstructor | None,
    solver: NonLinearPicture | None,
    data: Acquisition,
    arrays: Arrays,
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


@dataclass(frozen=True)
class Tools:
    """What makes and judges the picture of frames under one pattern; no operator: widefield."""

    pattern: PatternFit
    operator: Reconstructor | None
    solver: NonLinearPicture | None
    check: RawConsistency | None


def tools_for(
    run: Run,
    channel: Channel,
    pattern: PatternFit,
    data: Acquisition,
    haze: OutOfFocus | None,
    known: list[Tools],
) -> Tools:
    """Tools from `known` that have this pattern, or new ones, tuned on `data`.

    Of one instrument's patterns only those of frames that moved differ; where nothing moved the
    tools are kept in `known`.
    """
    for one in known:
        if one.pattern is pattern or not (one.pattern.drifting or pattern.drifting):
            return one
    if pattern.verdict == "failed":
        made = Tools(pattern, None, None, None)
    else:
        operator = build_operator(run, channel, pattern, data, haze)
        check = raw_check(run, operator, data)
        made = Tools(pattern, operator, build_solver(run, channel, operator, data), check)
    if not pattern.drifting:
        known.append(made)
    return made

"""From a stack to what the operator needs: OTF, photo-electrons with variance, pattern."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from simrecon.carrier_patterns import (
    SEVERAL,
    carrier_mode,
    doubting_mode,
    expected_fundamental,
    fit_carriers,
)
from simrecon.checks import CountsEvidence, counts_evidence
from simrecon.config import Settings
from simrecon.errors import InputError, QualityError, UsageError
from simrecon.estimate import estimate_pattern
from simrecon.estimate.drift import correct_drift, without_drift
from simrecon.estimate.unevenness import Unevenness
from simrecon.given_pattern import as_given, insisted, known_steps, with_given_errors
from simrecon.model.camera import Camera
from simrecon.model.noise import FrameNoise
from simrecon.model.optics import Optics
from simrecon.model.pattern import PatternFit
from simrecon.model.psf import AnyOTF, DetectionOTF, GridOTF, RadialOTF
from simrecon.model.stack import SimStack
from simrecon.otf_choice import of_channel
from simrecon.physics.otf import check_otf, theoretical_otf
from simrecon.recon.bad_pixels import BadPixels, bad_pixels
from simrecon.recon.noise_floor import (
    estimate_gain,
    hann_window,
    noise_variance_beyond_cutoff,
)
from simrecon.recon.preprocess import smooth_expectation

MAX_PATTERN_OVER_CUTOFF = 1.4
"""Pattern frequency over the detection cut-off; λ_em/λ_ex with equal NA stays below this."""

WATER_INDEX = 1.333
MAX_MODULATION = 2.0
"""Pattern contrast is at most 1; measured OTFs that are too low at the carrier push it higher."""
MIN_SEPARATION = 0.05
"""Smallest distance of two frequency vectors (or their negatives) over their length."""


@dataclass(frozen=True)
class Acquisition:
    """The frames of a plane, or of a volume, ready for the operator.

    Attributes
    ----------
    frames_e : ndarray, shape (A, P, Y, X) or (A, P, Z, Y, X), float32
        Photo-electrons.
    variance_e2 : ndarray, same shape, float32
        Noise variance of every raw pixel.
    noise : FrameNoise
        The same for any other expectation of the frames.
    """

    frames_e: np.ndarray
    variance_e2: np.ndarray
    noise: FrameNoise

    @property
    def frame_variance_e2(self) -> np.ndarray:
        """Mean variance of each frame, (A, P)."""
        inside = tuple(range(2, self.variance_e2.ndim))
        return np.asarray(self.variance_e2.mean(axis=inside, dtype=np.float64))


@dataclass(frozen=True)
class Channel:
    """What all acquisitions of one channel share.

    Attributes
    ----------
    index : int
    otf : DetectionOTF
    camera : Camera
        As given, or with a gain estimated from the data.
    evidence : CountsEvidence
        Whether the values are camera counts.
    notes : tuple of str
        Decisions for the user.
    noise_ratio : float or None
        Noise variance measured beyond the optical cut-off over that of the known camera; None
        when the gain was estimated from that very noise, or it cannot be seen.
    bad : BadPixels or None
        How bad pixels of the camera's maps are filled in.
    """

    index: int
    otf: DetectionOTF
    camera: Camera
    evidence: CountsEvidence
    notes: tuple[str, ...]
    noise_ratio: float | None = None
    bad: BadPixels | None = None
    light: Unevenness | None = None

    def frames_e(self, counts: np.ndarray) -> np.ndarray:
        """Photo-electrons of counts (..., Y, X), bad pixels filled in."""
        frames = self.camera.electrons(counts)
        return frames if self.bad is None else self.bad.fill(frames)

    def light_factors(self, shape: tuple[int, int]) -> np.ndarray | None:
        """What frames are divided by where the directions are equalised, (A, 1, Y, X)."""
        return None if self.light is None else self.light.factors(shape)[:, None]

    @property
    def noise(self) -> FrameNoise:
        """Noise of frames before any equalisation; its read noise is a number or a map (Y, X)."""
        read = np.asarray(self.camera.read_noise_e, dtype=np.float64)
        if not read.ndim:
            return FrameNoise(float(read) ** 2)
        variance = np.nan_to_num(read) ** 2
        return FrameNoise(variance if self.bad is None else self.bad.fill_variance(variance))


def prepare_channel(
    stack: SimStack,
    channel: int,
    settings: Settings,
    otf: AnyOTF | Sequence[AnyOTF] | None,
) -> Channel:
    """Choose and check the OTF, judge the values, find the photon scale of a channel.

    Raises
    ------
    InputError
        When the OTF does not belong to the optics, or an expected pattern lies outside it.
    """
    optics = stack.optics[channel]
    notes: list[str] = []
    if otf is None:
        pixel_um = stack.pixel_um if optics.pixel_integration else None
        model = settings.reconstruction.otf_model
        chosen: DetectionOTF = theoretical_otf(optics, pixel_um=pixel_um, model=model)
    else:
        given = of_channel(otf, stack, channel)
        if not isinstance(given, RadialOTF | GridOTF):
            raise UsageError(
                "This OTF belongs to a volume.",
                expected="the OTF of a plane (or --mode 3d)",
                got=given.source or type(given).__name__,
                where="--otf",
            )
        chosen = given
    notes += check_otf(chosen, optics)
    evidence = counts_evidence(stack.data[:, channel])
    if optics.excitation_na is not None and optics.excitation_na > optics.na:
        notes.append(
            f"the excitation NA ({optics.excitation_na:g}) is above the detection NA "
            f"({optics.na:g}): one objective cannot do that"
        )
    _check_light(stack, channel)
    camera, camera_notes = _photon_scale(stack, channel, chosen, evidence)
    bad = _bad_pixels(stack, channel, chosen, camera)
    if bad is not None:
        camera_notes.append(
            f"{len(bad.pixels)} bad pixels of the camera's maps were filled in from their "
            "neighbours"
        )
    prepared = Channel(channel, chosen, camera, evidence, (*notes, *camera_notes), None, bad)
    if settings.reconstruction.equalise:
        light = Unevenness.measure(prepared.frames_e(_middle_counts(stack, channel)))
        text = f"directions equalised: their light differs by {100 * light.rms:.1f} % rms"
        prepared = replace(prepared, light=light, notes=(*prepared.notes, text))
    if camera is not stack.camera:
        return prepared
    return replace(prepared, noise_ratio=_noise_ratio(stack, prepared))


def _bad_pixels(
    stack: SimStack, channel: int, otf: DetectionOTF, camera: Camera
) -> BadPixels | None:
    """Weights that fill in the bad pixels of the camera's maps."""
    mask = camera.bad_pixels
    if mask is None:
        return None
    good = camera.electrons(_middle_counts(stack, channel))[..., ~mask].astype(np.float64)
    read = np.broadcast_to(np.asarray(camera.read_noise_e), mask.shape)[~mask]
    noise = max(float(good.mean()), 0.0) + float(np.mean(read.astype(np.float64) ** 2))
    signal = max(float(good.var()) - noise, 1e-3 * noise)
    return bad_pixels(mask, otf, stack.pixel_um, noise / signal)


def _middle_counts(stack: SimStack, channel: int) -> np.ndarray:
    middle = stack.data.shape[4] // 2
    return np.asarray(stack.data[0, channel, :, :, middle])


def _check_light(stack: SimStack, channel: int) -> None:
    """Refuse an offset that leaves no light.

    Raises
    ------
    InputError
        With the offset and the mean signal.
    """
    mean = float(_middle_counts(stack, channel).mean(dtype=np.float64))
    offset = stack.camera.summary()["offset"]
    if offset >= mean:
        raise InputError(
            "The camera offset is not below the mean signal: no light would be left.",
            expected=f"an offset below {mean:.4g} (mean of the frames)",
            got=f"{offset:g}",
            where="--offset",
            hint="give the counts of a dark frame of this camera and readout mode",
        )


def _noise_ratio(stack: SimStack, channel: Channel) -> float | None:
    """Measured over predicted noise variance, both in e² and weighted like the measurement.

    In photo-electrons, so that the fixed pattern of offset and gain does not count as noise.
    """
    counts = _middle_counts(stack, channel.index)
    frames = channel.frames_e(counts)
    measured = noise_variance_beyond_cutoff(frames, stack.pixel_um, channel.otf.cutoff_per_um)
    if measured is None:
        return None
    weight = hann_window(*counts.shape[-2:]) ** 2
    variance = channel.camera.variance_e2(frames.mean(axis=(0, 1), dtype=np.float64))
    if channel.bad is not None:
        variance = channel.bad.fill(variance)
    predicted = float(np.mean(variance * weight) / np.mean(weight))
    if np.issubdtype(counts.dtype, np.integer):
        gain = np.asarray(channel.camera.gain, dtype=np.float64)
        predicted += float(np.nanmean(1.0 / (12.0 * gain**2)))  # rounding to whole counts
    return measured / predicted if predicted > 0 else None


def _photon_scale(
    stack: SimStack, channel: int, otf: DetectionOTF, evidence: CountsEvidence
) -> tuple[Camera, list[str]]:
    """The given camera, or one whose gain follows from the noise when nobody knows it."""
    not_counts = evidence.verdict == "not camera counts"
    notes = [f"not camera counts: {evidence.reason}"] if not_counts else []
    if stack.camera.source != "assumed" and not not_counts:
        return stack.camera, notes
    frames = _middle_counts(stack, channel)
    found = estimate_gain(frames, stack.camera, stack.pixel_um, otf.cutoff_per_um)
    if found is None:
        why = "the pixels are too coarse (or there is no light) to see the noise alone"
        return stack.camera, [*notes, f"camera gain not known and not measurable: {why}"]
    why = "these are no camera counts" if not_counts else "the camera's gain is not known"
    trust = (
        "photo-electrons are good to some 10 % if offset and read noise are right"
        if stack.camera.offset_known
        else "the offset is not known either, so zero and scale of the photo-electrons are "
        "unknown: with an offset above 0 the scale can be wrong many times over (--offset)"
    )
    notes.append(
        f"{why}: {found.gain:.4g} counts per electron were estimated from the noise beyond the "
        f"optical cut-off and used; {trust}"
    )
    return found, notes


def acquisition(stack: SimStack, channel: Channel, time: int, plane: int) -> Acquisition:
    """Frames of one time point and plane in photo-electrons, with their variance."""
    counts = np.asarray(stack.data[time, channel.index, :, :, plane])
    frames = channel.frames_e(counts)
    sigma_px = 0.45 / (channel.otf.cutoff_per_um * stack.pixel_um)  # about the PSF's own width
    noise, factors = channel.noise, channel.light_factors(stack.grid.shape)
    if factors is not None:
        frames, noise = frames / factors, noise.divided(factors)
    expected = smooth_expectation(frames, channel.camera, max(sigma_px, 1.0))
    variance = noise.variance(expected).astype(np.float32)
    if channel.bad is not None:
        variance = channel.bad.fill_variance(variance)
    floor = 1e-6 * max(float(variance.mean()), 1e-12)
    return Acquisition(frames, np.maximum(variance, np.float32(floor)), noise)


def mean_acquisition(stack: SimStack, channel: Channel) -> Acquisition:
    """Mean over all times and planes, with the variance of that mean."""
    times, planes = int(stack.data.shape[0]), int(stack.data.shape[4])
    shape = (stack.directions, stack.phases, *stack.grid.shape)
    frames, variance = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    for time in range(times):
        for plane in range(planes):
            one = acquisition(stack, channel, time, plane)
            frames += one.frames_e
            variance += one.variance_e2
    n = np.float32(times * planes)
    return Acquisition(frames / n, variance / n**2, one.noise.averaged(times * planes))


def pattern_acquisition(
    stack: SimStack, settings: Settings, channel: Channel, time: int
) -> Acquisition:
    """What the pattern of a time point is fitted on: its middle plane, or with ``share_pattern``
    the mean of all times and planes.
    """
    if settings.estimate.share_pattern:
        return mean_acquisition(stack, channel)
    return acquisition(stack, channel, time, int(stack.data.shape[4]) // 2)


def find_pattern(
    stack: SimStack,
    settings: Settings,
    channel: Channel,
    data: Acquisition,
    given: PatternFit | None,
    *,
    shared: bool = False,
) -> PatternFit:
    """Take a complete given pattern, or fit what is not given.

    A given pattern with frequencies only has phases, intensities and modulations fitted at
    those frequencies, with phase steps one phase per direction; without any pattern everything is
    fitted. `shared` says that the given frequencies come from the channels' own data: nobody
    vouches for them, and a fit that fails stays failed. The mean of several acquisitions has no
    drift of its own.
    """
    optics = stack.optics[channel.index]
    if given is not None:
        check_pattern(given, stack, channel.otf)
        if given.complete:
            return as_given(given, settings.estimate)
    mode = settings.reconstruction.mode
    if mode in SEVERAL:
        fundamental = expected_fundamental(settings, optics)
        if fundamental is not None:
            top = carrier_mode(mode, stack.phases).strongest
            what = "expected pattern" if top == 1 else f"order {top} of the expected fundamental"
            check_frequency(top * fundamental, channel.otf, what)
        frames, variance = data.frames_e, data.variance_e2
        return fit_carriers(stack, settings, optics, channel.otf, frames, variance, given)
    period = settings.estimate.period_um
    expected = 1.0 / period if period is not None else optics.pattern_frequency_per_um
    if mode == "tirf":
        limits = tirf_frequencies(optics)
        expected = float(np.mean(limits)) if expected is None else expected
    if expected is not None:
        check_frequency(expected, channel.otf, "expected pattern")
    fixed = None if given is None else [d.frequency_per_um for d in given.directions]
    fit_to = partial(
        estimate_pattern,
        pixel_um=stack.pixel_um,
        otf=channel.otf,
        variance_e2=data.variance_e2,
        expected_frequency_per_um=expected,
        expected_angles_rad=settings.estimate.angles_rad,
        fixed_frequencies_per_um=fixed,
        order=stack.order,
        local=settings.estimate.local,
    )
    fit = fit_to(data.frames_e, known_steps=known_steps(given))

    def refit(frames_e: np.ndarray, moving: PatternFit) -> PatternFit:
        return fit_to(frames_e, known_steps=known_steps(given, moving))

    if settings.estimate.drift == "auto":
        fit = correct_drift(data.frames_e, data.variance_e2, fit, channel.otf, refit)
        if settings.estimate.share_pattern and stack.data.shape[0] * stack.data.shape[4] > 1:
            fit = without_drift(fit)
    fit = doubting_mode(fit, stack, mode, channel.otf, data.frames_e, data.variance_e2)
    if given is None:
        return fit
    fit = with_given_errors(fit, given)
    if shared:
        note = "frequencies shared with the other channels"
        return replace(fit, notes=(*fit.notes, note))
    free = partial(fit_to, data.frames_e, fixed_frequencies_per_um=None)
    return insisted(fit, given, data.frames_e, data.variance_e2, channel.otf, free)


def tirf_frequencies(optics: Optics) -> tuple[float, float]:
    """Lowest and highest pattern frequency of evanescent light, cycles/µm.

    The beams need an NA between the sample's index (water when it is not given) and the
    objective's NA. Without the excitation wavelength 0.93 times the emission's is taken.

    Raises
    ------
    InputError
        When the objective or the given excitation NA cannot give total reflection.
    """
    index = optics.sample_index if optics.sample_index is not None else WATER_INDEX
    for name, value in (("detection NA", optics.na), ("excitation NA", optics.excitation_na)):
        if value is not None and value <= index:
            raise InputError(
                f"TIRF is not possible: the {name} is not above the sample's index.",
                expected=f"more than {index:g}",
                got=f"{value:g}",
                where="--mode tirf",
                hint="check --na and --excitation-na, or leave --mode at 2d",
            )
    wavelength_um = 1e-3 * (optics.excitation_nm or 0.93 * optics.emission_nm)
    return 2.0 * index / wavelength_um, 2.0 * optics.na / wavelength_um


def check_frequency(frequency_per_um: float, otf: DetectionOTF, what: str) -> None:
    """Refuse a pattern that the objective cannot show."""
    if not 0 < frequency_per_um <= MAX_PATTERN_OVER_CUTOFF * otf.cutoff_per_um:
        raise InputError(
            f"The {what} lies outside the detection OTF.",
            expected=f"a period of at least "
            f"{1e3 / (MAX_PATTERN_OVER_CUTOFF * otf.cutoff_per_um):.0f} nm "
            f"(cut-off {otf.cutoff_per_um:.2f} per µm)",
            got=f"{1e3 / frequency_per_um:.0f} nm" if frequency_per_um > 0 else "no frequency",
            hint="check the period, the pixel size, --na and --emission-nm",
        )


def check_pattern(pattern: PatternFit, stack: SimStack, otf: DetectionOTF) -> None:
    """Refuse a given pattern that cannot belong to this stack.

    Raises
    ------
    InputError
        For other numbers of directions or phases, another pixel size or field, or a frequency
        outside the OTF.
    """

    def refuse(what: str, expected: object, got: object) -> None:
        raise InputError(
            f"The pattern does not fit the data: {what}.",
            expected=str(expected), got=str(got), where="--pattern",
            hint="run 'simrecon estimate' on these data",
        )  # fmt: skip

    if len(pattern.frame_sets) != stack.directions:
        refuse("number of directions", stack.directions, len(pattern.frame_sets))
    if not np.isclose(pattern.pixel_um, stack.pixel_um, rtol=1e-3):
        refuse("pixel size", f"{stack.pixel_um:g} µm", f"{pattern.pixel_um:g} µm")
    if pattern.complete:
        phases = sorted({len(d.phase_rad) for d in pattern.directions})
        if phases != [stack.phases]:
            refuse("number of phases", stack.phases, phases)
        if pattern.shape != stack.grid.shape:
            refuse("size of the field (phases refer to it)", stack.grid.shape, pattern.shape)
    steps = sorted({len(d.phase_step_rad) for d in pattern.directions} - {0})
    if steps not in ([], [stack.phases]):
        refuse("number of phase steps", stack.phases, steps)
    for number, direction in enumerate(pattern.directions):
        check_frequency(
            float(np.hypot(*direction.frequency_per_um)), otf, f"pattern of direction {number + 1}"
        )
    _check_directions(pattern, refuse)


def _check_directions(pattern: PatternFit, refuse: Callable[[str, object, object], None]) -> None:
    """Numbers that no illumination can have, and directions that are one."""
    for number, d in enumerate(pattern.directions, 1):
        values = (*d.frequency_per_um, *d.phase_rad, *d.modulation, *d.intensity)
        if not np.all(np.isfinite(values)):
            refuse(f"direction {number} holds numbers that are not finite", "numbers", values)
        if pattern.verdict == "failed":
            continue  # never used for a picture; the fit's own verdict says why
        harmonics = all(0 < abs(m) <= MAX_MODULATION for m in d.modulation[1:])
        if not (harmonics and all(0 < m <= MAX_MODULATION for m in d.modulation[:1])):
            refuse(
                f"modulation of direction {number}", f"0 < m <= {MAX_MODULATION:g}", d.modulation
            )
        if not all(g > 0 for g in d.intensity):
            refuse(f"intensities of direction {number}", "positive numbers", d.intensity)
        for other in pattern.directions[: number - 1]:
            ours, theirs = np.array(d.frequency_per_um), np.array(other.frequency_per_um)
            apart = min(np.hypot(*(ours - theirs)), np.hypot(*(ours + theirs)))
            if apart < MIN_SEPARATION * np.hypot(*ours):
                refuse(
                    "two directions are the same", "distinct frequency vectors", d.frequency_per_um
                )


def gate_pattern(pattern: PatternFit, context: Sequence[str] = (), *, given: bool = False) -> None:
    """Stop on a failed fit; `context` are notes on the data that may explain it.

    `given` says that the pattern came with the call, so that giving one is no way out.

    Raises
    ------
    QualityError
        Naming the directions that failed and the ways out.
    """
    if pattern.verdict != "failed":
        return
    failed = [str(i + 1) for i, d in enumerate(pattern.directions) if d.verdict == "failed"]
    raise QualityError(
        "The illumination pattern could not be fitted"
        + (f" in direction(s) {', '.join(failed)}." if failed else "."),
        expected="a carrier peak and correlated bands in every direction",
        got="\n    ".join(["verdict failed", *context, *pattern.notes]),
        where="pattern fit",
        hint="the given pattern is itself a failed fit or contradicts the frames: leave --pattern "
        "away, give right frequencies only, or accept --on-fit-failure widefield"
        if given
        else "check --order, --pixel-um and the wavelengths with 'simrecon inspect'; give a "
        "--pattern; or accept --on-fit-failure widefield",
    )

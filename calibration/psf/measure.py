"""From bead stacks to a PSF: the one sequence, without files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from calibration.psf.align import Aligned, align
from calibration.psf.beadsize import compensate
from calibration.psf.crops import Crop, Window, axial_half, cut, lateral_half
from calibration.psf.detect import find_spots
from calibration.psf.expected import Expected, expected_widths
from calibration.psf.fieldmap import Trend, field_trends
from calibration.psf.fit import PupilFit, fit_pupil, planes_um
from calibration.psf.gates import check_scale, overall
from calibration.psf.noise import NoiseModel, noise_from_scatter, noise_model, rim_variance
from calibration.psf.screen import Judged, screen
from calibration.psf.settings import BeadSetup, PsfSettings
from calibration.psf.width import Widths, psf_widths
from simrecon.checks import saturation
from simrecon.errors import InputError, QualityError
from simrecon.model.camera import Camera
from simrecon.model.pattern import Verdict

SHAPE_FACTOR = 3.0
FLUX_FACTOR = 3.0
LEAST_PLANES_FOR_FIT = 5


@dataclass(frozen=True)
class PsfMeasurement:
    """What was found.

    Attributes
    ----------
    setup, settings, expected
        What was asked for, and the widths that the optics promise.
    beads : tuple of Judged
        Every spot; an empty reason marks those that were used, in the order of `aligned`.
    noise : NoiseModel
    aligned : Aligned
    widths : Widths
        FWHM of the mean bead (z, y, x), µm: bead and pixel included.
    width_sd_um : tuple of float
        Standard error of the Gaussian FWHM from the scatter between beads (NaN for one bead).
    bead_widths_um : ndarray, shape (N, 3)
        Gaussian FWHM of each bead.
    compensated : ndarray, shape (Z, Y, X)
        The mean with the bead's size taken out.
    compensated_widths : Widths
    fit : PupilFit or None
    fit_widths : Widths or None
        Of the fitted PSF (a point in the camera's pixels).
    trends : dict of str to Trend
        What changes over the field.
    verdict, notes
        Overall, with reasons.
    """

    setup: BeadSetup
    settings: PsfSettings
    expected: Expected
    beads: tuple[Judged, ...]
    noise: NoiseModel
    aligned: Aligned
    widths: Widths
    width_sd_um: tuple[float, ...]
    bead_widths_um: np.ndarray
    compensated: np.ndarray
    compensated_widths: Widths
    fit: PupilFit | None
    fit_widths: Widths | None
    trends: dict[str, Trend]
    verdict: Verdict
    notes: tuple[str, ...]

    @property
    def used(self) -> tuple[Judged, ...]:
        """The beads that were averaged."""
        return tuple(b for b in self.beads if not b.kind)

    def psf(self, size: int | None = None) -> np.ndarray:
        """The PSF to work with: the fitted one where the fit holds, else the compensated mean.

        Parameters
        ----------
        size
            Pixels per side of the fitted PSF [default: twice the window]; the mean keeps its own.

        Returns
        -------
        ndarray, shape (Z, Y, X), float32
            Point source in the camera's pixels, brightest plane sum 1.
        """
        if self.fit is not None and self.fit.verdict != "failed":
            planes, side = self.aligned.mean.shape[0], self.aligned.mean.shape[1]
            n = size or 2 * side + 1
            stack = self.fit.psf((n, n), planes_um(planes, self.setup), self.settings.model)
        else:
            stack = self.compensated
        brightest = int(np.argmax(stack.max(axis=(1, 2))))
        return np.asarray(stack / stack[brightest].sum(), dtype=np.float32)


def measure_psf(
    stacks: Sequence[np.ndarray],
    setup: BeadSetup,
    settings: PsfSettings | None = None,
    *,
    camera: Camera | None = None,
) -> PsfMeasurement:
    """Detect, screen, align and average beads, and fit a pupil to their mean.

    Parameters
    ----------
    stacks
        One or more arrays of one shape, (Z, Y, X) or (Y, X), in counts.
    setup
        Instrument and sample.
    settings
        Choices.
    camera
        For the noise; None: measured from the stacks.

    Raises
    ------
    InputError
        Stacks of different shapes, no stack of beads, not finite.
    QualityError
        No bead passed, or the beads' width cannot be that of these optics.
    """
    settings = settings or PsfSettings()
    data = _checked(stacks, setup)
    expected = expected_widths(setup)
    spots = [s for i, d in enumerate(data) for s in find_spots(d, setup, expected, stack=i)]
    if not spots:
        raise QualityError(
            "No bead was found.", expected="bright spots on a darker background",
            got=f"no local maximum above 6 noise sd in {len(data)} stack(s) of {data[0].shape}",
            hint="is this the bead file, and the right channel? Are --pixel-um, --na and "
            "--emission-nm right?",
        )  # fmt: skip
    half = lateral_half(setup, settings, expected)
    judged = screen(data, spots, setup, settings, expected, half, _saturation(data, settings))
    check_scale(judged, setup, expected)
    judged, crops = _cut(data, judged, setup, settings, expected, half)
    noise = _noise(crops, setup, camera)
    if noise.gain == 0 and len(crops) > 1:
        first = align(crops, noise)
        noise = noise_from_scatter(first.beads, first.amplitudes, first.mean, noise.floor)
    judged, crops, aligned = _aligned(judged, crops, noise)
    return _summarise(setup, settings, expected, tuple(judged), crops, noise, aligned)


def _checked(stacks: Sequence[np.ndarray], setup: BeadSetup) -> list[np.ndarray]:
    data = [np.asarray(s)[None] if np.ndim(s) == 2 else np.asarray(s) for s in stacks]
    shapes = {d.shape for d in data}
    if len(shapes) != 1:
        raise InputError("The bead stacks have different shapes.", expected="one shape",
                         got=", ".join(map(str, sorted(shapes))))  # fmt: skip
    shape = data[0].shape
    if len(shape) != 3 or min(shape[1:]) < 16:
        raise InputError("This is no stack of beads.",
                         expected="(planes, rows, columns), at least 16 x 16 pixels",
                         got=str(shape))  # fmt: skip
    if shape[0] > 1 and setup.dz_um is None:
        raise InputError("The distance between planes is not known.", expected="--dz-um",
                         got=f"{shape[0]} planes")  # fmt: skip
    if 1 < shape[0] < LEAST_PLANES_FOR_FIT:
        raise InputError("Too few planes for a stack.", got=f"{shape[0]} planes",
                         expected=f"1 or at least {LEAST_PLANES_FOR_FIT}")  # fmt: skip
    for d in data:
        if d.dtype.kind == "f" and not np.isfinite(d).all():
            raise InputError("The stack contains NaN or infinite values.")
        if d.max() == d.min():
            raise InputError("The stack is constant.", got=f"every voxel is {d.max():g}")
    return data


def _saturation(data: list[np.ndarray], settings: PsfSettings) -> float | None:
    if settings.saturation is not None:
        return settings.saturation
    fraction, level = saturation(np.stack(data)[:, None, None, None])
    return level if fraction > 0 else None


def _cut(
    data: list[np.ndarray],
    judged: list[Judged],
    setup: BeadSetup,
    settings: PsfSettings,
    expected: Expected,
    half: int,
) -> tuple[list[Judged], list[Crop]]:
    good = [b.spot for b in judged if not b.kind]
    window = Window(axial_half(data[0], setup, settings, expected, good), half)
    out, crops = [], []
    for bead in judged:
        crop = None if bead.kind else cut(data[bead.spot.stack], bead.spot, window)
        if crop is not None:
            crops.append(crop)
        elif not bead.kind:
            bead = bead.rejected("border", "its window leaves the stack")
        out.append(bead)
    return out, crops


def _noise(crops: list[Crop], setup: BeadSetup, camera: Camera | None) -> NoiseModel:
    found = noise_model([c.counts for c in crops], [c.background for c in crops],
                        setup.pixel_um, setup.optics.cutoff_per_um, camera)  # fmt: skip
    if found is not None:
        return found
    return NoiseModel(rim_variance([c.counts for c in crops]), 0.0,
                      "background only: give --gain and --offset")  # fmt: skip


def _aligned(
    judged: list[Judged], crops: list[Crop], noise: NoiseModel
) -> tuple[list[Judged], list[Crop], Aligned]:
    """Align; drop beads unlike the others, once, and align again."""
    aligned = align(crops, noise)
    if len(crops) < 4:
        return judged, crops, aligned
    usual = float(np.median(aligned.chi2))
    odd: dict[int, str] = {}
    for i, (chi2, flux) in enumerate(zip(aligned.chi2, aligned.amplitudes, strict=True)):
        if flux > FLUX_FACTOR:
            odd[i] = f"{flux:.1f} times as bright as the median bead: an aggregate"
        elif chi2 > SHAPE_FACTOR * max(usual, 1.0):
            odd[i] = f"χ² {chi2:.1f} against the mean bead, where {usual:.1f} is usual"
    if not odd or len(crops) - len(odd) < 2:
        return judged, crops, aligned
    used = [i for i, b in enumerate(judged) if not b.kind]
    for i, reason in odd.items():
        place = used[i]
        judged[place] = judged[place].rejected("large" if "bright" in reason else "shape", reason)
    crops = [c for i, c in enumerate(crops) if i not in odd]
    return judged, crops, align(crops, noise)


def _summarise(
    setup: BeadSetup,
    settings: PsfSettings,
    expected: Expected,
    judged: tuple[Judged, ...],
    crops: list[Crop],
    noise: NoiseModel,
    aligned: Aligned,
) -> PsfMeasurement:
    pitches = (float(setup.dz_um or 1.0), setup.pixel_um, setup.pixel_um)
    guesses = (expected.axial_um, expected.lateral_um, expected.lateral_um)
    per_bead = np.array([psf_widths(b, pitches, guesses).gaussian for b in aligned.beads])
    fit = None
    if settings.terms and aligned.mean.shape[0] >= LEAST_PLANES_FOR_FIT:
        fit = fit_pupil(aligned.mean, aligned.standard_error, setup, settings)
        aligned = replace(aligned, mean=aligned.mean - fit.background[:, None, None])
    compensated = compensate(aligned.mean, aligned.standard_error, setup)
    fit_widths = None
    if fit is not None:
        planes, side = aligned.mean.shape[0], aligned.mean.shape[1]
        clean = fit.psf((side, side), planes_um(planes, setup), settings.model)
        fit_widths = psf_widths(clean, pitches, guesses)
    widths = psf_widths(aligned.mean, pitches, guesses)
    count = len(crops)
    sd = per_bead.std(axis=0, ddof=1) / np.sqrt(count) if count > 1 else np.full(3, np.nan)
    verdict, notes = overall(setup, expected, widths, noise, aligned, fit)
    place = aligned.positions_px * np.array(pitches)
    lateral = np.sqrt(per_bead[:, 1] * per_bead[:, 2])
    quantities = {"fwhm_nm": 1e3 * lateral, "ellipticity": per_bead[:, 1] / per_bead[:, 2]}
    if aligned.mean.shape[0] > 1:
        quantities |= {"axial_fwhm_nm": 1e3 * per_bead[:, 0], "focus_nm": 1e3 * place[:, 0]}
    return PsfMeasurement(
        setup=setup, settings=settings, expected=expected, beads=judged, noise=noise,
        aligned=aligned, widths=widths, width_sd_um=tuple(float(v) for v in sd),
        bead_widths_um=per_bead, compensated=compensated,
        compensated_widths=psf_widths(compensated, pitches, guesses), fit=fit,
        fit_widths=fit_widths, trends=field_trends(place[:, 1:], quantities),
        verdict=verdict, notes=notes,
    )  # fmt: skip

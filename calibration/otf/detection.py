"""Detection PSF under the light of order 0: the pupil that explains the mean bead."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from calibration.otf.light import plane_factors
from calibration.psf.fit import PupilFit, fit_pupil, judge_fit, planes_um
from calibration.psf.settings import BeadSetup, PsfSettings
from simrecon.physics.bead_image import Camera3D

_DARK = 0.1
"""Planes with less light than this share of the brightest say nothing about the pupil."""
_SHEET_ROUNDS = 2
_INSIDE = 0.01
"""Share of H(0) above which a frequency counts as support."""


@dataclass(frozen=True)
class Detection:
    """What the camera shows of a bead under even light.

    Attributes
    ----------
    fit : PupilFit
    picture : ndarray, shape (Z, Y, X)
        The fitted bead, all planes under the same light, counts.
    distance_um : ndarray, shape (Z,)
        Distance of the bead from the focal plane in each plane, positive deeper.
    """

    fit: PupilFit
    picture: np.ndarray
    distance_um: np.ndarray


def fit_detection(
    mean: np.ndarray, error: np.ndarray, setup: BeadSetup, settings: PsfSettings, *, sheet: bool
) -> Detection:
    """Fit a pupil to the mean bead of order 0.

    Parameters
    ----------
    mean, error : ndarray, shape (Z, Y, X)
        Order 0, background-free, and its standard error.
    setup, settings
        As of ``simcal psf``; the planes of a volume grow deeper (``reverse_z``).
    sheet
        Planes differ in light: each is divided by what it has of the model, in turns with the fit.
    """
    if not sheet:
        fit = fit_pupil(mean, error, setup, settings)
        return Detection(fit, fit.model, _distance(fit, setup))
    camera = Camera3D(mean.shape[1:], setup.pixel_um,
                      tuple(-z for z in planes_um(mean.shape[0], setup)),
                      setup.optics.pixel_integration, setup.bead_um)  # fmt: skip
    picture = camera.image(setup.optics)
    shown = np.ones(len(mean))
    for _ in range(_SHEET_ROUNDS):
        factors, _power = plane_factors(mean[None], picture)
        shown = np.real(factors[0]) / np.real(factors[0]).max()
        lit = shown > _DARK
        light = np.where(lit, shown, 1.0)[:, None, None]
        dark = np.where(lit, 1.0, 1e3)[:, None, None]
        fit = fit_pupil(mean / light, dark * error / light, setup, settings)
        picture = fit.model
    # what was divided by little light is noise: the share is that of the beads as they are
    left = mean - shown[:, None, None] * (fit.model + fit.background[:, None, None])
    explained = 1.0 - float(np.sum(left**2) / np.sum((mean - mean.mean()) ** 2))
    verdict, note = judge_fit(fit.chi2, explained)
    fit = replace(fit, explained=explained, verdict=verdict, note=note)
    return Detection(fit, picture, _distance(fit, setup))


def _distance(fit: PupilFit, setup: BeadSetup) -> np.ndarray:
    heights = np.array(planes_um(fit.model.shape[0], setup))
    return fit.values["z_um"] - heights if setup.reverse_z else fit.values["z_um"] + heights


def measured_detection(mean: np.ndarray, setup: BeadSetup) -> tuple[np.ndarray, np.ndarray]:
    """The mean bead in place of a fit: picture, and distances with its brightest plane in focus."""
    heights = np.array(planes_um(mean.shape[0], setup))
    focus = heights[int(np.argmax(np.sum(mean**2, axis=(1, 2))))]
    return mean, focus - heights


def otf_error(fit: PupilFit, settings: PsfSettings, planes: int) -> float:
    """Standard deviation of H, H(0) = 1, that the aberrations' own leave; rms over its support."""
    setup = fit.setup
    side = fit.model.shape[1]
    camera = Camera3D((side, side), setup.pixel_um, tuple(-z for z in planes_um(planes, setup)),
                      setup.optics.pixel_integration)  # fmt: skip
    terms = tuple(fit.aberrations_nm)
    image, slopes = camera.image_and_slopes(
        setup.optics, terms, aberrations_nm=fit.aberrations_nm,
        apodisation=fit.values.get("apodisation", 0.0), blur_um2=fit.values.get("blur_um2", 0.0),
        model=settings.model,
    )  # fmt: skip
    power = sum(np.abs(np.fft.fftn(slope) * fit.aberrations_sd_nm[j]) ** 2
                for j, slope in zip(terms, slopes[-len(terms) :], strict=True))  # fmt: skip
    whole = np.abs(np.fft.fftn(image))
    inside = whole > _INSIDE * whole.max()
    return float(np.sqrt(np.mean(np.asarray(power)[inside])) / image.sum())


def centred(setup: BeadSetup) -> BeadSetup:
    """The setup of a stack whose planes grow deeper, as volumes of `simrecon` do."""
    return replace(setup, reverse_z=True)

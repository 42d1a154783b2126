"""The data of one fit, checked and prepared: frames, window, spectra, noise, coarse images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from simrecon.errors import InputError, UsageError
from simrecon.estimate.band_field import BandField
from simrecon.estimate.coverage import coverage
from simrecon.estimate.evenness import noise_weight
from simrecon.estimate.noise import measured_noise, predicted_noise
from simrecon.estimate.otf_table import otf_function
from simrecon.estimate.rows import BandImages
from simrecon.estimate.window import FieldWindow
from simrecon.model.psf import DetectionOTF
from simrecon.threads import side_by_side

FLANK_PX = 16.0
"""Flank of the field window, raw pixels (a quarter of the field at most): some five times the
width of a PSF. 6 px bias the modulation at 1000 e by 1.4 sd (128²); 41 px instead of 16 at 512²
cost about a quarter in the variance of the frequency."""
NOISE_TOLERANCE = (0.8, 1.25)
"""Measured over predicted noise outside of which the prediction is rescaled, with a note."""


@dataclass(frozen=True)
class FitTask:
    """Everything about the data that the steps of a fit share.

    Where the window has a weight, frames and their noise are those times the weight.

    Attributes
    ----------
    spectra : ndarray (A, P, KY, KX//2 + 1), complex64
        Half spectra of the windowed frames on the raw grid.
    variance_e2 : ndarray (A, P, Y, X)
    noise : ndarray (A, P)
        ``Σ w² σ²`` of each frame.
    images : BandImages
    window : FieldWindow
    cutoff_per_um : float
    coverage : float
        :func:`simrecon.estimate.coverage.coverage`.
    """

    spectra: np.ndarray
    variance_e2: np.ndarray
    noise: np.ndarray
    images: BandImages
    window: FieldWindow
    cutoff_per_um: float
    coverage: float

    @classmethod
    def of(
        cls,
        frames: np.ndarray,
        pixel_um: float,
        otf: DetectionOTF,
        variance_e2: np.ndarray | None,
        *,
        even: bool = False,
    ) -> tuple[FitTask, list[str]]:
        """Prepare checked frames (A, P, Y, X); notes on the noise come with it.

        `even`: weighted so that noise whose variance is given is more even over the field.
        """
        taper = min(FLANK_PX / min(frames.shape[-2:]), 0.25)
        window = FieldWindow.on((frames.shape[2], frames.shape[3]), pixel_um, taper)
        plain, weight = frames, np.ones((1, 1), np.float32)
        if even and variance_e2 is not None:
            variance_e2 = np.broadcast_to(np.asarray(variance_e2, np.float32), frames.shape)
            weight = noise_weight(variance_e2, pixel_um, otf.cutoff_per_um)
            window = replace(window, weight=weight)
            frames, variance_e2 = frames * weight, variance_e2 * weight**2
        spectra = window.transform(frames)
        variance, noise, notes = _noise(spectra, variance_e2, window, otf.cutoff_per_um, frames)
        field = BandField.on(window, otf.cutoff_per_um)
        images, covered = side_by_side(
            lambda: BandImages.of(frames, field, otf_function(otf), spectra),
            lambda: coverage(plain, variance / weight**2, pixel_um, otf.cutoff_per_um),
        )
        return cls(spectra, variance, noise, images, window, otf.cutoff_per_um, covered), notes


def checked_frames(frames_e: np.ndarray) -> np.ndarray:
    """Frames as contiguous float32, or the reason why they cannot be fitted.

    Raises
    ------
    InputError
    """
    frames = np.asarray(frames_e)
    if frames.ndim != 4 or frames.shape[1] < 3 or min(frames.shape[-2:]) < 32:
        raise InputError(
            "These frames cannot carry a pattern fit.",
            expected="(directions, phases ≥ 3, Y ≥ 32, X ≥ 32)",
            got=f"shape {tuple(frames.shape)}",
        )
    frames = np.ascontiguousarray(frames, dtype=np.float32)
    for d, p in np.ndindex(*frames.shape[:2]):
        frame = frames[d, p]
        if not np.isfinite(frame).all():
            raise InputError(
                "A raw frame contains NaN or infinity.", where=f"direction {d + 1}, phase {p + 1}"
            )
        if float(np.ptp(frame)) == 0.0:
            raise InputError(
                "A raw frame is constant.",
                expected="an image",
                got=f"{frame.flat[0]:g} everywhere",
                where=f"direction {d + 1}, phase {p + 1}",
                hint="a frame may be missing, or the camera was dark",
            )
    return frames


def checked_angles(
    directions: int,
    angles_rad: Sequence[float] | None,
    frequencies: Sequence[Sequence[float]] | None,
) -> list[float | None]:
    """One expected angle (or None) per direction.

    Raises
    ------
    UsageError
        When the numbers of angles or frequencies do not fit.
    """
    for what, values in (("angles", angles_rad), ("frequencies", frequencies)):
        if values is not None and len(values) != directions:
            raise UsageError(
                f"There must be one of the expected {what} per direction.",
                expected=str(directions),
                got=str(len(values)),
                where="--angles",
            )
    return [None] * directions if angles_rad is None else [float(a) for a in angles_rad]


def _noise(
    spectra: np.ndarray,
    variance_e2: np.ndarray | None,
    window: FieldWindow,
    cutoff_per_um: float,
    frames: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Variance maps, their Σ w²σ² per frame (A, P), and notes."""
    measured = measured_noise(spectra, window, cutoff_per_um)
    if variance_e2 is None:
        if measured is None:
            raise InputError(
                "The noise of these frames is not known and cannot be measured.",
                expected="a variance, or pixels fine enough to see beyond the optical cut-off",
                got=f"cut-off {cutoff_per_um:.2f} per µm, Nyquist "
                f"{0.5 / window.padded.pixel_um:.2f} per µm",
                hint="give the camera's gain, offset and read noise",
            )
        area = float((window.wy**2).sum() * (window.wx**2).sum())
        flat = (measured / area).astype(np.float32)
        shape = (*flat.shape, *frames.shape[-2:])
        note = "noise taken from the spectrum beyond the cut-off (no variance was given)"
        return np.broadcast_to(flat[:, :, None, None], shape), measured, [note]
    variance = np.broadcast_to(np.asarray(variance_e2, dtype=np.float32), frames.shape)
    predicted = predicted_noise(variance, window)
    if measured is None:
        return variance, predicted, []
    ratio = float(measured.sum() / max(float(predicted.sum()), 1e-30))
    if NOISE_TOLERANCE[0] <= ratio <= NOISE_TOLERANCE[1]:
        return variance, predicted, []
    note = (
        f"the noise beyond the cut-off is {ratio:.3g} × the predicted one: the camera's numbers do "
        "not fit these data; the measured level was used"
    )
    return variance * np.float32(ratio), predicted * ratio, [note]

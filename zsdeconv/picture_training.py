"""Training on pictures: one, a set, or a movie; and from a general model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.ndimage import uniform_filter

from simrecon.result import Progress, no_progress
from zsdeconv.config import ZsSettings
from zsdeconv.enhancement import Enhanced, enhance
from zsdeconv.imaging import Imaging
from zsdeconv.learned import Predicted
from zsdeconv.picture_model import PictureModel, adaptation, with_card

LARGEST_PX = 1024
"""Side of the fields that a set is trained on: the memory of a training does not grow with the
size of its pictures."""


def train_pictures(
    pictures: Sequence[np.ndarray],
    imaging: Imaging,
    settings: ZsSettings | None = None,
    *,
    folder: Path | None = None,
    resume: bool = False,
    progress: Progress = no_progress,
) -> Enhanced:
    """One model on all pictures; what is returned shows the middle one.

    Parameters
    ----------
    pictures
        Counts (Y, X); of several, the liveliest 1024² pixels of larger ones.
    imaging
        Optics, camera and noise of all of them.
    folder, resume, progress
        See :func:`zsdeconv.enhancement.enhance`.

    Returns
    -------
    Enhanced
        Its model can be saved and used on other pictures (:class:`PictureModel`).
    """
    settings = settings or ZsSettings()
    pictures = [imaging.without_lines(p) for p in pictures]  # the lines are the whole window's
    if len(pictures) > 1:
        pictures = [liveliest(p, LARGEST_PX) for p in pictures]
    clean = replace(imaging, columns=None, rows=None)
    measured = [clean.measure(p, settings.shown_cutoff) for p in pictures]
    first = measured.pop(len(measured) // 2)
    made = enhance(
        first, settings, others=measured, folder=folder, resume=resume, progress=progress
    )
    return with_card(made, imaging)


def adapted(model: PictureModel, counts: np.ndarray, iterations: int = 50) -> Enhanced:
    """A picture and the model that some steps of training on this very picture made.

    Parameters
    ----------
    model
        The general model; it is not changed.
    iterations
        Steps (the paper: 50).
    """
    settings = adaptation(model.settings, iterations)
    measured = model.imaging.measure(counts, settings.shown_cutoff)
    made = with_card(enhance(measured, settings, general=model.general), model.imaging)
    origin = {"adapted_from": model.facts["content_sha256"]}
    return replace(made, model_facts={**made.model_facts, **origin})


def as_predicted(made: Enhanced) -> Predicted:
    """What a prediction holds of an enhancement."""
    found = made.qc["enhancement"]
    return Predicted(made.denoised, made.deconvolved, found["chi2"], found["flux_ratio"])


def liveliest(picture: np.ndarray, side: int) -> np.ndarray:
    """The window of at most side × side with the largest variance of coarse means."""
    ny, nx = (min(n, side) for n in picture.shape)
    if (ny, nx) == picture.shape:
        return picture
    coarse = uniform_filter(picture.astype(np.float64), 8)[4::8, 4::8]
    squares, means = (uniform_filter(c, (ny // 8, nx // 8)) for c in (coarse**2, coarse))
    half_y, half_x = ny // 16, nx // 16
    inner = (squares - means**2)[half_y : len(means) - half_y or None,
                                 half_x : means.shape[1] - half_x or None]  # fmt: skip
    row, column = (8 * int(i) for i in np.unravel_index(int(np.argmax(inner)), inner.shape))
    y, x = min(row, picture.shape[0] - ny), min(column, picture.shape[1] - nx)
    return picture[y : y + ny, x : x + nx]

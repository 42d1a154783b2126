"""Classical deconvolution of what one file holds: a picture, a movie, or a volume."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from simrecon.errors import UsageError
from simrecon.model.camera import Camera
from simrecon.result import Progress, no_progress
from zsdeconv.baselines.deconvolution import (
    Deconvolved,
    richardson_lucy,
    sparse_deconvolution,
)
from zsdeconv.baselines.lucy import Momentum
from zsdeconv.baselines.sparse import SPARSITY, STRENGTH
from zsdeconv.baselines.stop import StopRule

Method = Literal["rl", "sparse"]


@dataclass(frozen=True)
class ClassicalSettings:
    """What to do with the pictures.

    Attributes
    ----------
    method : {"rl", "sparse"}
    stop : {"discrepancy", "held-out"}, int or None
        None: discrepancy for rl, held-out for sparse.
    momentum, tv
        Of rl: see :func:`zsdeconv.baselines.lucy.lucy_steps`.
    strength, sparsity, continuity, background_e
        Of sparse: see :func:`zsdeconv.baselines.sparse.sparse_image`; a continuity above 0 joins
        the frames of a movie or the planes of a volume.
    seed : int
    """

    method: Method = "rl"
    stop: StopRule | int | None = None
    momentum: Momentum = "biggs"
    tv: float = 0.0
    strength: float = STRENGTH
    sparsity: float = SPARSITY
    continuity: float = 0.0
    background_e: float | None = None
    seed: int = 0

    @property
    def rule(self) -> StopRule | int:
        """The stop that holds."""
        if self.stop is not None:
            return self.stop
        return "discrepancy" if self.method == "rl" else "held-out"


def deconvolve_all(
    counts: np.ndarray,
    psf: np.ndarray,
    camera: Camera,
    settings: ClassicalSettings,
    *,
    progress: Progress = no_progress,
) -> list[Deconvolved]:
    """Deconvolve pictures of one size, or a volume.

    Parameters
    ----------
    counts : ndarray, (N, Y, X)
        As the camera gave them: N pictures with a PSF of two axes, a volume with one of three.
    psf : ndarray, (n, m) or (p, n, m)
        Centred on n//2.
    camera

    Returns
    -------
    list of Deconvolved
        One per picture; a single one of shape (N, Y, X) of a volume or of joined frames.

    Raises
    ------
    UsageError
        Frames are to be joined that the method treats one by one.
    """
    volume = psf.ndim == 3
    if settings.continuity > 0 and settings.method == "rl":
        raise UsageError("Only sparse deconvolution is continuous.", where="--continuity")
    bad = camera.bad_pixels
    electrons = np.stack([camera.electrons(c) for c in counts])
    read = np.square(np.asarray(camera.read_noise_e, dtype=np.float32))
    joined = volume or (settings.continuity > 0 and len(electrons) > 1)
    pictures = [electrons] if joined else list(electrons)
    done = []
    for index, picture in enumerate(pictures):
        progress("deconvolution", index, len(pictures))
        done.append(_one(picture, psf, read, bad, settings))
    progress("deconvolution", len(pictures), len(pictures))
    return done


def _one(
    picture: np.ndarray,
    psf: np.ndarray,
    read: np.ndarray,
    bad: np.ndarray | None,
    s: ClassicalSettings,
) -> Deconvolved:
    if s.method == "rl":
        return richardson_lucy(
            picture, psf, read_variance_e2=read, bad=bad, stop=s.rule, momentum=s.momentum,
            tv=s.tv, seed=s.seed,
        )  # fmt: skip
    return sparse_deconvolution(
        picture, psf, read_variance_e2=read, bad=bad, stop=s.rule, strength=s.strength,
        sparsity=s.sparsity, continuity=s.continuity, background_e=s.background_e, seed=s.seed,
    )  # fmt: skip

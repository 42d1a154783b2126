"""What a reconstruction hands back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from simrecon.model.grid import AnyGrid
from simrecon.model.pattern import PatternFit, Verdict


class Progress(Protocol):
    """Callback for long work; compute code calls it, the shell draws it."""

    def __call__(self, stage: str, done: int, total: int, note: str = "") -> None:
        """Report that `done` of `total` steps of `stage` are finished (note: e.g. a loss)."""
        ...


def no_progress(stage: str, done: int, total: int, note: str = "") -> None:
    """Ignore progress (the default of every function that takes a callback)."""


@dataclass(frozen=True)
class Result:
    """A reconstruction with its variance, its PSF and the reasons to trust it or not.

    Attributes
    ----------
    image : ndarray, shape (T, C, Z, qY, qX), float32
        Photo-electrons per raw pixel area, never clipped.
    variance : ndarray or None, same shape, float32
        Variance of `image` propagated from the raw noise, e²; None unless the method is "wiener".
    widefield : ndarray, shape (T, C, Z, Y, X), float32
        Mean of all raw frames of a time point, e, on the raw grid.
    effective_psf : ndarray, shape (C, n, n), of volumes (C, Z, n, n), float32, or None
        The PSF of `image` (first time point), centred on n//2, sum 1, on the SR grid; None for a
        widefield fallback and for methods that are not linear.
    grid : Grid or VolumeGrid
        Grid of `image`.
    patterns : tuple (time) of tuple (channel) of PatternFit
        With several planes, the pattern of the middle one unless shared.
    verdicts : mapping
        Gate name → "ok", "weak" or "failed"; ``"overall"`` is the worst of them.
    qc : mapping
        JSON-ready numbers: residual peaks, resolution, flux, timings, notes.
    provenance : mapping
        JSON-ready record of what made the picture.
    reconstructors : tuple (time) of tuple (channel)
        The frozen linear operators, for everything that follows (training, forward model).
    origin_um : (float, float)
        Centre of pixel (0, 0) of `image`, (y, x) from that of raw pixel (0, 0) of plane 0, µm.
        Volumes of a stage scan are NaN where no plane has been.
    kind : {"sim", "widefield"}
        "widefield" when the fit failed and the user asked for that fallback.
    """

    image: np.ndarray
    variance: np.ndarray | None
    widefield: np.ndarray
    effective_psf: Any  # ndarray or None
    grid: AnyGrid
    patterns: tuple[tuple[PatternFit, ...], ...]
    verdicts: Mapping[str, Verdict]
    qc: Mapping[str, Any]
    provenance: Mapping[str, Any]
    reconstructors: tuple[tuple[Any, ...], ...] = field(default=(), repr=False)
    origin_um: tuple[float, float] = (0.0, 0.0)
    kind: str = "sim"

    @property
    def pattern(self) -> PatternFit:
        """Pattern of the first time point and channel."""
        return self.patterns[0][0]

    @property
    def reconstructor(self) -> Any:
        """Operator of the first time point and channel."""
        return self.reconstructors[0][0]

    @property
    def passed(self) -> bool:
        """True when every quality gate was passed (otherwise programs exit with 4)."""
        return self.verdicts["overall"] == "ok"

"""A second opinion: what is shown of a picture is mixed with its sparse deconvolution.

A network trained on one dim picture and a method with a hand-made prior err in different places, so
that a mixture is nearer to the truth than either (Breiman, Machine Learning 24, 49, 1996). At much
light the network alone is better. Which share helps, the picture says: fresh re-corrupted copies go
through both, and at pixels that were no target of the training their mixture is to predict the
independent partners best. These pixels are few; the share is drawn to one half with a prior.

Sparse deconvolution is not an object to be shown through the ideal microscope of the result, but
has a limited resolution of its own: blurred once more it would lose 0.5 to 1 dB (figure-1 scenes at
25 e). It is therefore mixed with what is *shown*; the object that explains the frames stays that of
the network, and so do χ², flux, uncertainty and probes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from zsdeconv.baselines.blur import Blur
from zsdeconv.baselines.lucy import LucyStep, lucy_steps
from zsdeconv.baselines.sparse import estimated_background, sparse_image
from zsdeconv.baselines.stop import held_out_stop
from zsdeconv.consistency import flux_factor
from zsdeconv.measurement import Measurement
from zsdeconv.recorrupt import recorrupt
from zsdeconv.stacking import Copy

PRIOR_SHARE, PRIOR_SD = 0.5, 0.3
"""Of the share: any from 0 to 1 is likely, equal shares most."""
MOST_ITERATIONS = 100
SPARSE_ITERATIONS = 20
"""Of the splitting: within 0.1 dB of three times as many (figure-1 scenes at 5 to 100 e), in less
than half the time (1024²: 1.3 instead of 2.9 s on a core; measured 2026-11)."""
_ALPHA = 0.5
_LEAST_E = 1e-6


@dataclass(frozen=True)
class Companion:
    """How sparse deconvolution takes part.

    Attributes
    ----------
    iterations : int
        Richardson–Lucy iterations after the sparse picture.
    share : float
        Of sparse deconvolution in the mixture, 0 to 1.
    """

    iterations: int
    share: float

    @classmethod
    def fit(
        cls,
        m: Measurement,
        frames_e: Sequence[np.ndarray],
        copies: Sequence[Copy],
        where: np.ndarray,
        rng: np.random.Generator,
    ) -> Companion:
        """Iterations and share that predict independent copies best.

        Parameters
        ----------
        frames_e : sequence of ndarray, (1, Y, X)
            Re-corrupted copies of the picture.
        copies : sequence of Copy
            For each the network's object (after stacking) and the partner.
        where : ndarray of bool, (Y, X)
            Pixels that were no target of the training.
        rng
            Of the copy that chooses the iterations.

        Notes
        -----
        With Δ = prediction of the sparse object minus that of the network's, the share s minimises
        Σ (partner − prediction − s Δ)²/variance + ((s − ½)/sd)². As in
        :meth:`zsdeconv.stacking.Stacking.fit`, the N copies share the noise of the picture:
        together they count as one partner with 1 + (inflation − 1)/N times its variance.
        """
        alone = cls(_iterations(m, rng), 1.0)
        information = wanted = 0.0
        for frames, copy in zip(frames_e, copies, strict=True):
            counts = 1.0 / (len(copies) + copy.inflation - 1.0)
            expected = m.predict(copy.objects)
            change = (m.predict(alone.sparse(m, frames)) - expected)[:, where]
            left = (copy.partner - expected)[:, where]
            weighted = change / m.variance_e2[:, where]
            information += counts * float(np.sum(weighted * change, dtype=np.float64))
            wanted += counts * float(np.sum(weighted * left, dtype=np.float64))
        prior = PRIOR_SD**-2
        share = (wanted + prior * PRIOR_SHARE) / (information + prior)
        return cls(alone.iterations, float(np.clip(share, 0.0, 1.0)))

    def __call__(self, m: Measurement, shown: np.ndarray) -> np.ndarray:
        """The mixture, (Y, X), with `shown`, what the network's object looks like; e, float32."""
        if self.share == 0.0:
            return shown
        sparse = self.sparse(m, m.frames_e)
        light = flux_factor(m, sparse)
        return np.asarray((1.0 - self.share) * shown + self.share * light * sparse, np.float32)

    def sparse(self, m: Measurement, frames_e: np.ndarray) -> np.ndarray:
        """The sparse deconvolution alone, background included."""
        base = estimated_background(frames_e[0])
        blur = Blur(m.effective_psf, frames_e.shape[1:])
        sparse = _sparse(frames_e[0], m.variance_e2[0], base)
        steps = lucy_steps(sparse, blur)
        last = next(islice(steps, self.iterations - 1, None))
        return np.asarray(last.image + np.float32(base), dtype=np.float32)


def takes_part(m: Measurement, withheld: np.ndarray | None) -> bool:
    """Whether there can be one.

    Of plain pictures on their own grid, some pixels of which are withheld, where the result is
    shown at a resolution and not as the bare object.
    """
    plain = m.dz_um is None and m.zoom == 1 and len(m.frames_e) == 1 and m.shown_psf is not None
    return plain and withheld is not None and bool(withheld.any())


def sentences(companion: Companion | None) -> list[str]:
    """What took part, for people; empty where nothing did."""
    if companion is None:
        return []
    return [f"companion: {companion.share:.0%} of 'deconvolved' is sparse deconvolution"]


def _iterations(m: Measurement, rng: np.random.Generator) -> int:
    """By one copy, whose prediction the independent one judges."""
    copy, partner = recorrupt(m.frames_e, m.draw_noise(rng), _ALPHA)
    variance = (1.0 + _ALPHA**2) * m.variance_e2[0]
    base = estimated_background(copy[0])
    sparse = _sparse(copy[0], variance, base)

    def error(step: LucyStep) -> float:
        squares = (partner[0] - step.seen - base) ** 2 / m.variance_e2[0]
        return float(np.mean(squares, dtype=np.float64))

    steps = lucy_steps(sparse, Blur(m.effective_psf, copy.shape[1:]))
    return held_out_stop(steps, error, MOST_ITERATIONS).iterations


def _sparse(picture_e: np.ndarray, variance_e2: np.ndarray, base: float) -> np.ndarray:
    """Sparse picture above the background, positive."""
    made = sparse_image(picture_e, variance_e2, background_e=base, iterations=SPARSE_ITERATIONS)
    return made + np.float32(_LEAST_E)

"""Held-out data from one acquisition: how much to regularise, decided without a truth.

With z drawn from the frames' own noise, y + αz and y − z/α have independent noise (Pang et al.,
CVPR 2021, eq. 7). Whatever is computed from the first copy alone predicts the second one best when
it is closest to the noise-free frames.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simrecon.backend import Array, like, namespace, to_numpy

ALPHA = 0.5
"""The copy to fit has 1 + α² times the noise, the copy to predict 1 + 1/α²."""


@dataclass(frozen=True)
class HeldOut:
    """Two copies of frames with independent noise.

    Attributes
    ----------
    fit, test : array, shape (A, P, Y, X), float32
        Copy to work on, and copy to predict.
    noise : array, same shape
        z.
    weights : array, same shape
        1/σ² of the original frames.
    """

    fit: Array
    test: Array
    noise: Array
    weights: Array

    @classmethod
    def of(cls, frames: Array, variance_e2: Array, seed: int = 0) -> HeldOut:
        """Re-corrupt frames whose noise variance is given; the same seed gives the same copies."""
        xp = namespace(frames)
        draw = np.random.default_rng(seed).standard_normal(frames.shape, dtype=np.float32)
        z = like(draw, frames, xp.float32) * xp.sqrt(variance_e2)
        return cls(frames + ALPHA * z, frames - z / ALPHA, z, 1.0 / variance_e2)

    @property
    def fit_weights(self) -> Array:
        """1/σ² of the copy to fit."""
        return self.weights / (1.0 + ALPHA**2)

    def error(self, expected: Array) -> float:
        """χ² of the test copy against frames predicted from the fit copy, per pixel.

        Its expectation is 1 plus the mean squared error of the prediction in units of the test
        copy's noise.
        """
        xp = namespace(expected)
        off = expected - self.test
        total = float(xp.sum(self.weights * off * off, dtype=xp.float64))
        return total / (1.0 + ALPHA**-2) / float(np.prod(expected.shape))

    def fit_error(self, expected: Array) -> float:
        """χ² of the copy to fit against frames predicted from it, per pixel."""
        xp = namespace(expected)
        off = expected - self.fit
        total = float(xp.sum(self.fit_weights * off * off, dtype=xp.float64))
        return total / float(np.prod(expected.shape))

    def degrees_of_freedom(self, expected: Array, reference: Array) -> float:
        """Effective parameters of the estimator per raw pixel, tr(∂ expected/∂ frames)/M.

        Stein's lemma with the noise that was added (Ramani, Blu & Unser, IEEE TIP 17, 1540, 2008).

        Parameters
        ----------
        expected
            Predicted from the fit copy.
        reference
            Any prediction that does not know z, the closer the better; it takes out the variance.
        """
        xp = namespace(expected)
        total = xp.sum(self.weights * self.noise * (expected - reference), dtype=xp.float64)
        return float(to_numpy(total)) / ALPHA / float(np.prod(expected.shape))

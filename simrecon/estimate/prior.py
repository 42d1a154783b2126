"""Weak normal priors about the start values of the joint fit, and phase steps that are known.

The weak ones are a hundred times wider than the fit's own errors on usable data (a bias of 1e-4 of
them), and a leash where the data hardly say anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import block_diag

from simrecon.estimate.mixing import DirectionState
from simrecon.estimate.window import FieldWindow

PRIOR_SD_PHASE_RAD = 0.4
PRIOR_SD_INTENSITY = 0.1
PRIOR_SD_FREQUENCY_PX = 1.0
REACH_PX = 0.15
"""Farthest that a frequency may move from where the rows were demodulated, DFT samples."""


@dataclass(frozen=True)
class KnownSteps:
    """Phases of a direction's frames, known up to one that they have in common.

    Attributes
    ----------
    phase_rad : ndarray (P,)
    sd_rad : ndarray (P,)
        How well each repeats; positive.
    """

    phase_rad: np.ndarray
    sd_rad: np.ndarray

    @property
    def precision(self) -> np.ndarray:
        """``W − w wᵀ/Σw`` with w = 1/sd²: what is left of independent errors when the common phase
        is free, (P, P).
        """
        weight = 1.0 / self.sd_rad**2
        matrix: np.ndarray = np.diag(weight) - np.outer(weight, weight) / weight.sum()
        return matrix

    def about(self, phase_rad: np.ndarray) -> np.ndarray:
        """The known phases with the common one nearest to `phase_rad`, (P,), unwrapped to it."""
        away = np.angle(np.exp(1j * (phase_rad - self.phase_rad)))
        weight = 1.0 / self.sd_rad**2
        common = np.angle(np.sum(weight * np.exp(1j * away)))
        turn = np.angle(np.exp(1j * (self.phase_rad + common - phase_rad)))
        return np.asarray(phase_rad + turn)


@dataclass(frozen=True)
class Prior:
    """Normal prior of the free parameters.

    Attributes
    ----------
    centre : list of ndarray (2P + 1,)
        (φ, g, ln m) of each direction; ln m is free.
    frequency_per_um : ndarray (D, 2)
    precision : ndarray (D, 2P + 3, 2P + 3)
        Inverse covariance of (φ, g, ln m, f_y, f_x) of each direction.
    reach_per_um : ndarray (2,)
        Farthest that a frequency may move between two demodulations.
    """

    centre: list[np.ndarray]
    frequency_per_um: np.ndarray
    precision: np.ndarray
    reach_per_um: np.ndarray

    @classmethod
    def about(
        cls,
        states: Sequence[DirectionState],
        window: FieldWindow,
        steps: Sequence[KnownSteps | None],
    ) -> Prior:
        """Prior about start values, and about phase steps that are known."""
        phases = states[0].phase_rad.size
        sample = 1.0 / np.array(window.padded.extent_um)
        deviation = np.concatenate(
            [
                np.full(phases, PRIOR_SD_PHASE_RAD),
                np.full(phases, PRIOR_SD_INTENSITY),
                [np.inf],
                PRIOR_SD_FREQUENCY_PX * sample,
            ]
        )
        centre = [s.parameters for s in states]
        precision = np.tile(np.diag(1.0 / deviation**2), (len(states), 1, 1))
        for d, known in enumerate(steps):
            if known is not None:
                centre[d][:phases] = known.about(centre[d][:phases])
                precision[d, :phases, :phases] += known.precision
        return cls(
            centre,
            np.array([s.frequency_per_um for s in states]),
            precision,
            REACH_PX * sample,
        )

    @property
    def matrix(self) -> np.ndarray:
        """Inverse covariance of the parameters of all directions."""
        return np.asarray(block_diag(*self.precision))

    def force(self, away: np.ndarray) -> np.ndarray:
        """Precision times distance, (D, 2P + 3)."""
        return np.asarray(np.einsum("dij,dj->di", self.precision, away))

    def offset(self, parameters: Sequence[np.ndarray], frequency_per_um: np.ndarray) -> np.ndarray:
        """Distance from the centre, (D, 2P + 3); ln m counts as 0."""
        rows = []
        for p, c, f, f0 in zip(
            parameters, self.centre, frequency_per_um, self.frequency_per_um, strict=True
        ):
            inner = p - c
            inner[-1] = 0.0
            rows.append(np.concatenate([inner, f - f0]))
        return np.array(rows)

"""Weak normal priors about the start values of the joint fit.

A hundred times wider than the fit's own errors on usable data (a bias of 1e-4 of them), and a
leash where the data hardly say anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simrecon.estimate.mixing import DirectionState
from simrecon.estimate.window import FieldWindow

PRIOR_SD_PHASE_RAD = 0.4
PRIOR_SD_INTENSITY = 0.1
PRIOR_SD_FREQUENCY_PX = 1.0
REACH_PX = 0.15
"""Farthest that a frequency may move from where the rows were demodulated, DFT samples."""


@dataclass(frozen=True)
class Prior:
    """Normal prior of the free parameters.

    Attributes
    ----------
    centre : list of ndarray (2P + 1,)
        (φ, g, ln m) of each direction; ln m is free.
    frequency_per_um : ndarray (D, 2)
    precision : ndarray (2P + 3,)
        1/sd² of (φ, g, ln m, f_y, f_x).
    reach_per_um : ndarray (2,)
        Farthest that a frequency may move between two demodulations.
    """

    centre: list[np.ndarray]
    frequency_per_um: np.ndarray
    precision: np.ndarray
    reach_per_um: np.ndarray

    @classmethod
    def about(cls, states: Sequence[DirectionState], window: FieldWindow) -> Prior:
        """Prior about start values."""
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
        return cls(
            [s.parameters for s in states],
            np.array([s.frequency_per_um for s in states]),
            1.0 / deviation**2,
            REACH_PX * sample,
        )

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

"""Coefficients of the demodulated rows that a set of pattern parameters stands for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simrecon.estimate.mixing import BANDS, DirectionState, unmixing, unmixing_jacobian
from simrecon.estimate.rows import band_rows, rows_per_direction


@dataclass(frozen=True)
class RowModel:
    """Where the rows were demodulated; turns parameters into coefficients of the rows.

    Attributes
    ----------
    frequency_per_um : ndarray (D, 2)
        Demodulation frequencies.
    half_modulation : ndarray (D,)
        m/2 at which the derivative rows were made.
    phases : int
        Frames P per direction.
    """

    frequency_per_um: np.ndarray
    half_modulation: np.ndarray
    phases: int

    @classmethod
    def at(cls, states: Sequence[DirectionState]) -> RowModel:
        """Model of rows demodulated at `states`."""
        return cls(
            np.array([s.frequency_per_um for s in states]),
            np.array([0.5 * s.modulation for s in states]),
            states[0].phase_rad.size,
        )

    @property
    def count(self) -> int:
        """Parameters per direction: φ (P), g (P), ln m, f_y, f_x."""
        return 2 * self.phases + 3

    def of_states(self, states: Sequence[DirectionState]) -> np.ndarray:
        """Coefficients of `states`, (R,) complex128."""
        return self.coefficients([s.parameters for s in states], _frequencies(states))

    def jacobian_of_states(self, states: Sequence[DirectionState]) -> np.ndarray:
        """Their derivatives, (D·(2P + 3), R) complex128."""
        return self.jacobian([s.parameters for s in states], _frequencies(states))

    def coefficients(
        self, parameters: Sequence[np.ndarray], frequency_per_um: np.ndarray
    ) -> np.ndarray:
        """Coefficients of all rows, (R,) complex128.

        Parameters
        ----------
        parameters : sequence of ndarray (2P + 1,)
            (φ, g, ln m) per direction.
        frequency_per_um : ndarray (D, 2)
        """
        phases, size = self.phases, rows_per_direction(self.phases)
        step = frequency_per_um - self.frequency_per_um
        vector = np.zeros(len(parameters) * size, dtype=np.complex128)
        for d, values in enumerate(parameters):
            c = unmixing(values, phases)
            scale = self.half_modulation[d] / (0.5 * np.exp(values[-1]))
            for i, b in enumerate(BANDS):
                block = band_rows(d, i, phases)
                vector[block.start : block.start + phases] = c[i]
                if i:
                    vector[block.start + phases : block.stop] = -2j * np.pi * b * step[d] * scale
        return vector

    def jacobian(
        self, parameters: Sequence[np.ndarray], frequency_per_um: np.ndarray
    ) -> np.ndarray:
        """Derivatives of :meth:`coefficients`, (D·(2P + 3), R) complex128.

        Per direction: φ (P), g (P), ln m, f_y, f_x.
        """
        phases, size, count = self.phases, rows_per_direction(self.phases), self.count
        step = frequency_per_um - self.frequency_per_um
        result = np.zeros((len(parameters) * count, len(parameters) * size), dtype=np.complex128)
        for d, values in enumerate(parameters):
            inner = unmixing_jacobian(values, phases)
            scale = self.half_modulation[d] / (0.5 * np.exp(values[-1]))
            first = d * count
            for i, b in enumerate(BANDS):
                block = band_rows(d, i, phases)
                result[first : first + count - 2, block.start : block.start + phases] = inner[:, i]
                if i:
                    tail = slice(block.start + phases, block.stop)
                    result[first + count - 3, tail] = 2j * np.pi * b * step[d] * scale
                    result[first + count - 2, tail.start] = -2j * np.pi * b * scale
                    result[first + count - 1, tail.start + 1] = -2j * np.pi * b * scale
        return result


def _frequencies(states: Sequence[DirectionState]) -> np.ndarray:
    return np.array([s.frequency_per_um for s in states])

"""The carriers that a set of frames holds, and how the frames mix into bands.

Frame j of a set is ``g_j Σ_b a_b exp(i n_b·φ_j) · band_b``: n_b counts fundamentals (physics.md
§1), a_0 = 1 and a_b = m_c/2 for carrier c and its conjugate. Harmonics are multiples of one
fundamental; simultaneous directions have one fundamental each.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

RIDGE = 1e-14
"""Relative to the mixing matrix, whose entries are near 1."""


@dataclass(frozen=True)
class SetState:
    """Current values of one set of frames, phases counted from the centre of the field.

    Attributes
    ----------
    frequency_per_um : ndarray (F, 2)
        Fundamentals [fy, fx], cycles/µm.
    phase_rad : ndarray (F, P)
        Of every fundamental in every frame.
    intensity : ndarray (P,)
    modulation : ndarray (C,)
        Of every carrier; harmonics may be negative.
    """

    frequency_per_um: np.ndarray
    phase_rad: np.ndarray
    intensity: np.ndarray
    modulation: np.ndarray

    @property
    def parameters(self) -> np.ndarray:
        """(φ_11…φ_FP, g_1…g_P, ln|m_1|…ln|m_C|, f_1y, f_1x, …)."""
        parts = [self.phase_rad.ravel(), self.intensity, np.log(np.abs(self.modulation))]
        return np.concatenate([*parts, self.frequency_per_um.ravel()])

    def with_parameters(self, values: np.ndarray) -> SetState:
        """The state of other parameters; signs of the modulations stay."""
        f, p = self.phase_rad.shape
        c = self.modulation.size
        return SetState(
            values[f * p + p + c :].reshape(f, 2),
            values[: f * p].reshape(f, p),
            values[f * p : f * p + p],
            np.sign(self.modulation) * np.exp(values[f * p + p : f * p + p + c]),
        )


@dataclass(frozen=True)
class CarrierSet:
    """Which carriers a set of P frames holds.

    Attributes
    ----------
    carriers : tuple of (int, int)
        Fundamental and order of every carrier.
    phases : int
        Number of frames P.
    """

    carriers: tuple[tuple[int, int], ...]
    phases: int

    @classmethod
    def harmonics(cls, orders: int, phases: int) -> CarrierSet:
        """Orders 1 to `orders` of one fundamental."""
        return cls(tuple((0, n) for n in range(1, orders + 1)), phases)

    @classmethod
    def simultaneous(cls, directions: int, phases: int) -> CarrierSet:
        """Order 1 of several fundamentals."""
        return cls(tuple((f, 1) for f in range(directions)), phases)

    @property
    def fundamentals(self) -> int:
        """Number F of fundamentals."""
        return 1 + max(f for f, _ in self.carriers)

    @property
    def bands(self) -> int:
        """Number B of bands: 0, the carriers, their conjugates."""
        return 1 + 2 * len(self.carriers)

    @property
    def counts(self) -> np.ndarray:
        """n_b, (B, F) float64."""
        upper = np.zeros((len(self.carriers), self.fundamentals))
        for c, (f, order) in enumerate(self.carriers):
            upper[c, f] = order
        return np.concatenate([np.zeros((1, self.fundamentals)), upper, -upper])

    @property
    def size(self) -> int:
        """Number of parameters of a state."""
        f = self.fundamentals
        return f * self.phases + self.phases + len(self.carriers) + 2 * f

    def parameters_of(self, what: str) -> slice:
        """Where "phase", "intensity", "modulation" or "frequency" are among the parameters."""
        f, p, c = self.fundamentals, self.phases, len(self.carriers)
        edges = dict(zip(("phase", "intensity", "modulation", "frequency"), range(4), strict=True))
        ends = (0, f * p, f * p + p, f * p + p + c, f * p + p + c + 2 * f)
        return slice(ends[edges[what]], ends[edges[what] + 1])

    def carrier_per_um(self, frequency_per_um: np.ndarray) -> np.ndarray:
        """q_b of all bands, (B, 2), from fundamentals (F, 2)."""
        return np.asarray(self.counts @ frequency_per_um)

    def mixing(self, phase_rad: np.ndarray, intensity: np.ndarray) -> np.ndarray:
        """``M_jb = g_j exp(i n_b·φ_j)``, (…, P, B) complex128, from (…, F, P) and (…, P)."""
        turns = np.einsum("bf,...fp->...pb", self.counts, phase_rad)
        return np.asarray(intensity[..., None] * np.exp(1j * turns))

    def unmixing(self, phase_rad: np.ndarray, intensity: np.ndarray) -> np.ndarray:
        """Rows c_b with ``band_b = Σ_j c_bj frame_j``, (…, B, P) complex128, amplitudes 1."""
        matrix = self.mixing(phase_rad, intensity)
        adjoint = np.conj(np.swapaxes(matrix, -1, -2))
        return np.asarray(np.linalg.solve(adjoint @ matrix + RIDGE * np.eye(self.bands), adjoint))

    def condition(self, state: SetState) -> float:
        """Condition number of the mixing matrix."""
        return float(np.linalg.cond(self.mixing(state.phase_rad, state.intensity)))

    def amplitudes(self, modulation: np.ndarray) -> np.ndarray:
        """a_b, (…, B), from modulations (…, C)."""
        half = 0.5 * modulation
        return np.concatenate([np.ones((*half.shape[:-1], 1)), half, half], axis=-1)

    def unit(self, state: SetState) -> SetState:
        """The same state with modulations 2: band amplitudes 1."""
        return replace(state, modulation=np.full(len(self.carriers), 2.0))

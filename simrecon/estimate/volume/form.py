"""How well the bands of one direction agree: the quadratic form of the fit.

At every lateral frequency the planes of band b are ``y_b = A_b s + n_b``, A_b being the convolution
with the band's axial kernel (:mod:`.kernels`) and s the object's column, which is longer than the
stack. Eliminating s, of which only a generous prior power P is known, leaves

    J = Σ_k y^H M y,   M = N⁻¹ − N⁻¹ A (A^H N⁻¹ A + 1/P)⁻¹ A^H N⁻¹,

a quadratic form in the coefficients c of the rows. Its expectation at the truth, from noise and
from what of the object M leaves, is known: the fit minimises ``c^H J c − 2 Re c^H E[J] c_0`` with
c_0 the coefficients at which the weights were frozen, so that its slope vanishes at the truth. For
an endless stack this is the comparison of the bands at every (kz, k)
(:mod:`simrecon.estimate.consistency`); for one of a micrometre the ends would spoil that.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simrecon.estimate.volume.field import VolumeField
from simrecon.estimate.volume.kernels import Kernels
from simrecon.estimate.volume.rows import Rows
from simrecon.estimate.volume.state import VolumeState
from simrecon.estimate.volume.weights import PRIOR_FACTOR, Weights, chunks


@dataclass(frozen=True)
class Form:
    """The form of one direction with its weights frozen.

    Attributes
    ----------
    weights : Weights
    matrix : ndarray (R, R), complex128
        Of J, the noise not subtracted.
    noise : ndarray (R, R), complex128
        Its expectation from noise.
    left : ndarray (R,), complex128
        Its expectation from the object, times the coefficients of the frozen state: what M
        leaves of band b is ``tr(A_b (A^H N⁻¹ A + 1/P)⁻¹ A_b^H) / (f N_b)``, f being `PRIOR_FACTOR`.
    """

    weights: Weights
    matrix: np.ndarray
    noise: np.ndarray
    left: np.ndarray

    @classmethod
    def frozen(cls, rows: Rows, kernels: Kernels, field: VolumeField, state: VolumeState) -> Form:
        """Weights of `state`."""
        weights = Weights.frozen(rows, kernels, field, state)
        noise = weights.band_noise
        samples = np.flatnonzero(kernels.used.any(axis=0))
        size = rows.band.size
        matrix, trace = np.zeros((size, size), complex), np.zeros((len(noise),) * 2)
        left = np.zeros(len(noise))
        members = [rows.members(i) for i in range(len(noise))]
        for part in chunks(kernels, samples):
            whitened = weights.whitened(part)
            inverse = np.linalg.inv(weights.precision(whitened, part))
            back = np.empty((part.size, kernels.column, size), np.complex128)
            for i, r in enumerate(members):
                seen = kernels.used[i, part] / np.float32(np.sqrt(noise[i]))
                data = rows.values[r][..., part].transpose(2, 1, 0) * seen[:, None, None]
                back[..., r] = np.conj(whitened[:, i].transpose(0, 2, 1)) @ data
                flat = data.reshape(-1, data.shape[2])
                matrix[r, r] += np.conj(flat.T) @ flat
                trace[i, i] += float(kernels.used[i, part].sum()) * kernels.planes / noise[i]
            solved = inverse @ back
            matrix -= np.conj(back.reshape(-1, size).T) @ solved.reshape(-1, size)
            told = _told(whitened, inverse)
            trace -= told / np.sqrt(np.outer(noise, noise))
            left += np.diag(told) / PRIOR_FACTOR
        at = np.ix_(rows.band, rows.band)
        shown = np.conj(_shown(rows, state)) * left[rows.band]
        return cls(weights, matrix, rows.noise * trace[at], shown)

    @property
    def rows(self) -> Rows:
        """Rows of which the form is made."""
        return self.weights.rows


def _told(whitened: np.ndarray, inverse: np.ndarray) -> np.ndarray:
    """``Re Σ_k tr(A_i inverse A_j^H)/√(N_i N_j)``, (2M + 1, 2M + 1)."""
    samples, count, planes, size = whitened.shape
    # the product is one of large numbers of either sign: double precision until here
    spread = (whitened.reshape(samples, -1, size) @ inverse).astype(np.complex64)
    flat = whitened.transpose(1, 0, 2, 3).reshape(count, -1)
    spread = spread.reshape(samples, count, planes, size).transpose(1, 0, 2, 3).reshape(count, -1)
    return np.asarray((np.conj(flat) @ spread.T).real, np.float64)


def _shown(rows: Rows, state: VolumeState) -> np.ndarray:
    """What of its own band every row shows, (R,) complex128; derivative rows show none."""
    mixing = state.mixing() * state.amplitudes
    shown = np.zeros(rows.band.size, complex)
    for i in range(mixing.shape[1]):
        start = rows.members(i).start
        shown[start : start + len(mixing)] = mixing[:, i]
    return shown

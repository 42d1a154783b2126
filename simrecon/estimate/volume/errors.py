"""Standard deviations of a direction's fit: the sandwich formula over blocks of the field.

As in a plane (:mod:`simrecon.estimate.uncertainty`): scores are summed over lateral blocks, all
planes of a column together, and their scatter is what noise and misfit really do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simrecon.estimate.minimise import hold, pin_intensity
from simrecon.estimate.uncertainty import sandwich
from simrecon.estimate.volume.field import VolumeField
from simrecon.estimate.volume.fit import VolumeFit, jacobian


@dataclass(frozen=True)
class VolumeErrors:
    """Standard deviations; phases at the centre of the field."""

    frequency_per_um: np.ndarray
    phase_rad: np.ndarray
    intensity: np.ndarray
    modulation: np.ndarray


def direction_errors(
    fit: VolumeFit, field: VolumeField, variance_e2: np.ndarray, *, fit_frequency: bool = True
) -> VolumeErrors:
    """Errors of one direction.

    Parameters
    ----------
    fit : VolumeFit
    field : VolumeField
    variance_e2 : ndarray (Y, X)
        Mean variance of a pixel over frames and planes: where the subtracted noise came from.
    fit_frequency : bool
        As in the fit.
    """
    state, form = fit.state, fit.form
    phases = state.phase_rad.size
    sample = 1.0 / np.array(field.window.padded.extent_um)
    c, jac = form.rows.coefficients(state), jacobian(form.rows, state, sample)
    hessian = 2 * np.real(np.conj(jac) @ form.matrix @ jac.T)
    hessian -= 2 * np.real(np.conj(jac) @ form.noise @ jac.T)
    hessian += np.diag(fit.precision)
    for m in range(1, state.orders + 1):
        # what the object leaves in the form acts as −2 E ln(1/m): it bends the valley, too
        side = np.where(np.isin(form.rows.band, (2 * m - 1, 2 * m)), c, 0)
        place = 2 * phases + 1 + m
        hessian[place, place] += 2 * max(float(np.real(np.conj(side) @ form.left)), 0.0)
    edges = _edges(field)
    scores = _scores(fit, field, jac, edges)
    noise = 2 * np.real(np.conj(jac) @ (form.noise @ c + form.left))
    share = _sums(field.taper**2 * variance_e2, edges).ravel()
    scores -= noise[:, None] * (share / share.sum())
    nothing = np.zeros(hessian.shape[0])
    _, stiff = pin_intensity(nothing, hessian, 1, phases, coupled=False)
    if not fit_frequency:
        known = range(2 * phases, 2 * phases + 2)
        hold(nothing, stiff, known, nothing.size)
        scores[known] = 0.0
    scale = 1.0 / np.sqrt(np.maximum(np.abs(np.diag(stiff)), 1e-300))
    inverse = np.linalg.pinv(stiff * np.outer(scale, scale), rcond=1e-9, hermitian=True)
    inverse *= np.outer(scale, scale)
    influence = inverse @ scores
    own = inverse * np.sqrt(fit.precision)
    variance = np.diag(sandwich(influence)) + np.sum(own**2, axis=1)
    deviation = np.sqrt(variance)
    return VolumeErrors(
        deviation[2 * phases : 2 * phases + 2] if fit_frequency else np.zeros(2),
        deviation[:phases],
        deviation[phases : 2 * phases],
        deviation[2 * phases + 2 :] * state.modulation,
    )


def _edges(field: VolumeField) -> tuple[np.ndarray, np.ndarray]:
    ny, nx = field.window.wy.size, field.window.wx.size
    edge = int(np.clip(min(ny, nx) // 10, 6, 64))
    return np.arange(0, ny, edge), np.arange(0, nx, edge)


def _sums(image: np.ndarray, edges: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    rows = np.add.reduceat(image, edges[0], axis=-2)
    return np.asarray(np.add.reduceat(rows, edges[1], axis=-1))


def _scores(
    fit: VolumeFit, field: VolumeField, jac: np.ndarray, edges: tuple[np.ndarray, np.ndarray]
) -> np.ndarray:
    """Gradient of J summed over blocks of columns, (2P + 2 + M, blocks)."""
    rows = fit.form.rows
    mismatch = fit.form.weights.mismatch(fit.state)
    samples = int(np.prod(field.window.padded.shape))
    total = np.zeros((jac.shape[0], edges[0].size * edges[1].size))
    # band −b mirrors band b: twice the latter, over the whole plane, stands for both
    for i in [0, *range(1, len(mismatch), 2)]:
        twin = i + 1 if i else 0
        residual = field.images(mismatch[i], np.conj(mismatch[twin]))
        here, there = rows.members(i), rows.members(twin)
        for r, t in zip(range(here.start, here.stop), range(there.start, there.stop), strict=True):
            image = field.images(rows.values[r], np.conj(rows.values[t]))
            product = np.sum(np.conj(image) * residual, axis=0) * samples
            sums = _sums(product, edges).ravel()
            factor = 2.0 if i else 1.0
            total += factor * np.real(np.conj(jac[:, r])[:, None] * sums[None, :])
    return total

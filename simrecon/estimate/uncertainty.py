"""Standard deviations of the joint fit by the sandwich formula, summed in real space.

The fit solves ``Σ score = 0``, so its covariance is ``H⁻¹ (Σ s sᵀ) H⁻¹`` with H the curvature
(Huber 1967). By Parseval's theorem the score is a sum over pixels, and there the noise of distant
blocks is independent whatever its variance does (in Fourier space bright structures, which carry
both the signal and the shot noise, correlate all samples: errors come out 1.4× too small). Measured
from the data themselves, Σ s sᵀ contains photon noise, its square at low light, and the mismatch
of the OTF. Where few blocks carry the signal the result is enlarged (:func:`sandwich`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simrecon.estimate.blocks import Blocks, coarse_image
from simrecon.estimate.consistency import Gram
from simrecon.estimate.descent import curvature_scale
from simrecon.estimate.minimise import hold, pin_intensity, safe_matrix
from simrecon.estimate.mixing import BANDS, DirectionState, unmixing
from simrecon.estimate.prior import Prior
from simrecon.estimate.redundancy import Redundancy
from simrecon.estimate.regression import modulation_rows
from simrecon.estimate.rows import BandImages, band_rows
from simrecon.threads import on_all_cores


@dataclass(frozen=True)
class DirectionErrors:
    """Standard deviations of one direction; phases at the centre of the field.

    Attributes
    ----------
    frequency_per_um : ndarray (2,)
    phase_rad, intensity : ndarray (P,)
    modulation : float
    """

    frequency_per_um: np.ndarray
    phase_rad: np.ndarray
    intensity: np.ndarray
    modulation: float


def covariance(
    gram: Gram,
    states: Sequence[DirectionState],
    images: BandImages,
    variance_e2: np.ndarray,
    prior: Prior,
    *,
    fit_frequency: bool = True,
) -> np.ndarray:
    """Covariance of (φ, g, ln m, f_y, f_x) of all directions, (D·(2P + 3),) squared, float64.

    Parameters
    ----------
    gram, states, images
        Of the converged fit.
    variance_e2 : ndarray (Y, X)
        Mean noise variance; says where the (subtracted) noise part of the score comes from.
    prior : Prior
        Of the fit: it bounds what the data leave open, and its own width counts as an error.
    """
    phases, count = gram.model.phases, gram.model.count
    c = gram.model.of_states(states)
    jac = gram.model.jacobian_of_states(states)
    matrix = safe_matrix(gram, c, margin=False)
    hessian = 2 * np.real(np.conj(jac) @ matrix @ jac.T)
    blocks = Blocks.on(images)
    scores = _block_scores(gram, images, jac, blocks)
    noise = 2 * np.real(np.conj(jac) @ (gram.noise @ c))
    share = blocks.sums_raw(images.field.window.tapers[0] ** 2 * variance_e2)
    scores -= noise[:, None] * (share / share.sum())
    if gram.redundancy is not None:
        parameters = [s.parameters for s in states]
        hessian += gram.redundancy.system(parameters)[1]
        scores += _redundant_scores(gram.redundancy, images, parameters, blocks)
    hessian += prior.matrix
    _use_regression(
        hessian,
        scores,
        *modulation_rows(gram, states, jac, images, blocks, share / share.sum()),
        2 * phases,
    )
    _, stiff = pin_intensity(
        np.zeros(hessian.shape[0]), hessian, len(states), phases, coupled=gram.coupled
    )
    if not fit_frequency:
        hold(np.zeros(stiff.shape[0]), stiff, [count - 2, count - 1], count)
        scores[np.arange(scores.shape[0]) % count >= count - 2] = 0.0
    scale = curvature_scale(stiff)
    inverse = np.linalg.pinv(stiff * np.outer(scale, scale), rcond=1e-9)
    inverse *= np.outer(scale, scale)
    total: np.ndarray = sandwich(inverse @ scores) + inverse @ prior.matrix @ inverse.T
    return total


def _use_regression(
    hessian: np.ndarray, scores: np.ndarray, found: np.ndarray, slopes: np.ndarray, first: int
) -> None:
    """Put the equations that fix the modulations in place of J's derivatives by them, in place.

    They are scaled to the same diagonal, so that inverting stays well conditioned.
    """
    count = hessian.shape[0] // len(found)
    for d, (score, slope) in enumerate(zip(found, slopes, strict=True)):
        at = d * count + first
        if slope[at] <= 0:
            continue  # nothing is predicted for these orders: J alone tells how uncertain they are
        factor = hessian[at, at] / slope[at]
        hessian[at], scores[at] = factor * slope, factor * score


def sandwich(influence: np.ndarray) -> np.ndarray:
    """Covariance from the influence of every block on every parameter, (n, blocks).

    In sparse fields a few blocks carry most of it, and a sum of n_e independent squares
    underestimates: n_e = (Σa²)²/Σa⁴ is their effective number, and each variance is enlarged by
    n_e/(n_e − 2), at most fourfold.
    """
    variance = np.sum(influence**2, axis=1)
    fourth = np.sum(influence**4, axis=1)
    number = variance**2 / np.maximum(fourth, 1e-300)
    number = np.maximum(number, 1.0)
    factor = np.sqrt(number / np.maximum(number - 2.0, 0.25 * number))
    scaled = influence * factor[:, None]
    matrix: np.ndarray = scaled @ scaled.T
    return matrix


def _block_scores(gram: Gram, images: BandImages, jac: np.ndarray, blocks: Blocks) -> np.ndarray:
    """Gradient of J summed over blocks of pixels, (n, blocks) float64.

    Order −1 mirrors order +1, so twice the latter stands for both; half of the whole plane's sum
    is the half plane's. The residual is inside the detection band, so that the demodulated frames
    themselves, which hold more, give the same sums as their rows.
    """
    mismatch, phases = gram.mismatch(), gram.model.phases
    pixels = images.field.shape[0] * images.field.shape[1]
    along = (images.field.y_um[:, None], images.field.x_um[None])

    def one(d: int) -> np.ndarray:
        own = mismatch[d * len(BANDS) : (d + 1) * len(BANDS)]
        zero, first = coarse_image(own[:2], own[[0, 2]], images)
        frames, state = images.images[d, 0], gram.states[d]
        still = blocks.sums(frames * zero.real)
        turned = np.conj(images.carrier(d, state)) * first
        moving = [blocks.sums(frames * turned)]
        unmix = np.conj(unmixing(state.parameters, phases)[1]).astype(np.complex64)
        band = np.tensordot(unmix, frames, axes=1) * turned
        moving += [blocks.sums(band * n.astype(np.float32))[None] for n in along]
        edge = band_rows(d, 0, phases), band_rows(d, 1, phases)
        total = 0.5 * np.real(np.conj(jac[:, edge[0]]) @ still)
        total += np.real(np.conj(jac[:, edge[1]]) @ np.concatenate(moving))
        return np.asarray(2 * pixels * total)

    directions = range(jac.shape[0] // gram.model.count)
    result: np.ndarray = np.sum(on_all_cores(one, directions), axis=0)
    return result


def _redundant_scores(
    redundancy: Redundancy, images: BandImages, parameters: Sequence[np.ndarray], blocks: Blocks
) -> np.ndarray:
    """Gradient of what more than three phases have in common, summed over blocks (n, blocks)."""
    phases = images.zero.shape[1]
    count = 2 * phases + 3
    pixels = images.field.shape[0] * images.field.shape[1]
    scores = np.zeros((len(parameters) * count, len(blocks.raw[0]) * len(blocks.raw[1])))
    for d, values in enumerate(parameters):
        white = images.zero[d] * redundancy.whitening[d][:, None].astype(np.float32)
        frames = coarse_image(white, white, images).real
        pairs = np.stack([blocks.sums(frames * one) for one in frames]) * pixels
        projection, slopes = redundancy.projection(d, values), redundancy.slopes(d, values)
        both = np.einsum("nij,il->njl", slopes, projection)
        rows = slice(d * count, d * count + 2 * phases)
        scores[rows] = redundancy.weight[d] * np.einsum("njl,jlb->nb", both, pairs)
    return scores


def direction_errors(matrix: np.ndarray, states: Sequence[DirectionState]) -> list[DirectionErrors]:
    """Split the covariance of :func:`covariance` into directions."""
    phases = states[0].phase_rad.size
    deviation = np.sqrt(np.maximum(np.diag(matrix), 0.0)).reshape(len(states), 2 * phases + 3)
    return [
        DirectionErrors(
            frequency_per_um=d[2 * phases + 1 :],
            phase_rad=d[:phases],
            intensity=d[phases : 2 * phases],
            modulation=float(d[2 * phases] * s.modulation),
        )
        for d, s in zip(deviation, states, strict=True)
    ]

"""Standard deviations of the joint fit by the sandwich formula, summed in real space.

The fit solves ``Σ score = 0``, so its covariance is ``H⁻¹ (Σ s sᵀ) H⁻¹`` with H the curvature
(Huber 1967). By Parseval's theorem the score is a sum over pixels, and there the noise of distant
blocks is independent whatever its variance does (in Fourier space bright structures, which carry
both the signal and the shot noise, correlate all samples: errors come out 1.4× too small). Measured
from the data themselves, Σ s sᵀ contains photon noise, its square at low light, and the mismatch
of the OTF.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simrecon.backend import ifft2
from simrecon.estimate.consistency import Gram
from simrecon.estimate.joint import (
    coefficient_vector,
    curvature_scale,
    hold,
    jacobian,
    pin_intensity,
)
from simrecon.estimate.mixing import BANDS, DirectionState
from simrecon.estimate.rows import HalfPlane, band_rows
from simrecon.estimate.window import FieldWindow


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
    half: HalfPlane,
    window: FieldWindow,
    variance_e2: np.ndarray,
    *,
    fit_frequency: bool = True,
) -> np.ndarray:
    """Covariance of (φ, g, ln m, f_y, f_x) of all directions, (D·(2P + 3),) squared, float64.

    Parameters
    ----------
    gram, states, half
        Of the converged fit.
    window : FieldWindow
    variance_e2 : ndarray (Y, X)
        Mean noise variance; says where the (subtracted) noise part of the score comes from.
    """
    phases = states[0].phase_rad.size
    parameters = [s.parameters for s in states]
    halves = [0.5 * s.modulation for s in states]
    still = np.zeros((len(states), 2))
    c = coefficient_vector(parameters, still, halves, phases)
    jac = jacobian(parameters, still, halves, phases)
    hessian = 2 * np.real(np.conj(jac) @ gram.matrix @ jac.T)
    scores = _block_scores(gram, half, window, jac, phases)
    noise = 2 * np.real(np.conj(jac) @ (gram.noise @ c))
    share = _block_sums(window.tapers()[0] ** 2 * variance_e2, window)
    scores -= noise[:, None] * (share / share.sum())
    _, stiff = pin_intensity(
        np.zeros(hessian.shape[0]), hessian, len(states), phases, coupled=gram.coupled
    )
    if not fit_frequency:
        count = 2 * phases + 3
        hold(np.zeros(stiff.shape[0]), stiff, [count - 2, count - 1], count)
        scores[np.arange(scores.shape[0]) % count >= count - 2] = 0.0
    scale = curvature_scale(stiff)
    inverse = np.linalg.pinv(stiff * np.outer(scale, scale), rcond=1e-9, hermitian=True)
    inverse *= np.outer(scale, scale)
    sandwich: np.ndarray = inverse @ (scores @ scores.T) @ inverse
    return sandwich


def _block_scores(
    gram: Gram, half: HalfPlane, window: FieldWindow, jac: np.ndarray, phases: int
) -> np.ndarray:
    """Gradient of J summed over blocks of pixels, (n, blocks) float64.

    Order −1 mirrors order +1, so twice the latter stands for both; half of the whole plane's sum
    is the half plane's.
    """
    mismatch = gram.mismatch()
    total: np.ndarray | float = 0.0
    for d in range(jac.shape[0] // (2 * phases + 3)):
        for i, factor in ((0, 0.5), (1, 1.0)):
            band = d * len(BANDS) + i
            block = band_rows(d, i, phases)
            mirror = band_rows(d, 2, phases) if i else block
            residual = _image(
                mismatch[band], mismatch[band + (1 if i else 0)], half, window.padded.shape
            )
            images = _image(gram.rows[block], gram.rows[mirror], half, window.padded.shape)
            sums = _block_sums(np.conj(images) * residual, window) * residual.size
            total = total + 2 * factor * np.real(np.conj(jac[:, block]) @ sums)
    result: np.ndarray = np.asarray(total)
    return result


def _image(
    values: np.ndarray, mirrored: np.ndarray, half: HalfPlane, shape: tuple[int, int]
) -> np.ndarray:
    """Real-space image of a spectrum given at k and, through its mirror band, at −k."""
    spectrum = np.zeros((*values.shape[:-1], shape[0] * shape[1]), dtype=np.complex64)
    spectrum[..., half.index] = values
    spectrum[..., half.mirrored] = np.conj(mirrored)
    image: np.ndarray = ifft2(spectrum.reshape(*values.shape[:-1], *shape))
    return image


def _block_sums(images: np.ndarray, window: FieldWindow) -> np.ndarray:
    """Sums over square blocks of pixels, (…, blocks)."""
    pad = [(0, 0)] * (images.ndim - 2)
    pad += [(0, n - m) for n, m in zip(window.padded.shape, images.shape[-2:], strict=True)]
    images = np.pad(images, pad)
    edge = int(np.clip(min(images.shape[-2:]) // 10, 6, 64))
    for axis in (-2, -1):
        images = np.add.reduceat(images, np.arange(0, images.shape[axis], edge), axis=axis)
    flat: np.ndarray = images.reshape(*images.shape[:-2], -1)
    return flat


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

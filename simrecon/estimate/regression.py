"""The equation that fixes the modulation, as a score: its sums over blocks and its derivative.

Modulations do not minimise J (:mod:`consistency`): they come from the regression of orders ±1 on
what the other bands predict for them (:mod:`overlap`), the root of

    ψ_d = Re Σ_k w (conj(ŷ) (y − ŷ) + doubt)

J's own derivative by ln m multiplies the residual with the measured order instead of the predicted
one, and so with the order's own noise: a sandwich of it makes the standard deviation of the
modulation too large, the more the less light there is. An estimator's errors are the sandwich of
the equations that it solves.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from simrecon.estimate.blocks import Blocks, coarse_image
from simrecon.estimate.consistency import Gram
from simrecon.estimate.mixing import BANDS, DirectionState
from simrecon.estimate.overlap import Prediction, side_bands
from simrecon.estimate.rows import BandImages, band_rows
from simrecon.threads import on_all_cores


def modulation_rows(
    gram: Gram,
    states: Sequence[DirectionState],
    jac: np.ndarray,
    images: BandImages,
    blocks: Blocks,
    noise_share: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Scores −ψ_d over blocks (D, blocks) and their expected derivatives (D, n).

    Parameters
    ----------
    gram, states, jac, images, blocks
        As in :func:`simrecon.estimate.uncertainty.covariance`.
    noise_share : ndarray (blocks,)
        Share of the noise's power that every block has.
    """
    c = gram.model.of_states(states)

    def one(d: int) -> tuple[np.ndarray, np.ndarray]:
        found = Prediction.of(gram, d)
        slopes = np.real(jac @ _slopes(gram, d, found, c))
        return -_scores(found, images, blocks, noise_share), slopes

    scores, slopes = zip(*on_all_cores(one, range(len(states))), strict=True)
    return np.array(scores), np.array(slopes)


def _scores(
    found: Prediction, images: BandImages, blocks: Blocks, noise_share: np.ndarray
) -> np.ndarray:
    """ψ summed over blocks; order −1 mirrors order +1, both half planes make the whole one."""
    weighted = found.weight * (found.order - found.predicted)
    first, residual = coarse_image(
        np.stack([found.predicted[0], weighted[0]]),
        np.stack([found.predicted[1], weighted[1]]),
        images,
    )
    pixels = images.field.shape[0] * images.field.shape[1]
    sums = pixels * np.real(blocks.sums(np.conj(first) * residual)).astype(np.float64)
    doubt = float(np.sum(found.weight * found.doubt, dtype=np.float64))
    total: np.ndarray = sums + doubt * noise_share
    return total


def _slopes(gram: Gram, direction: int, found: Prediction, c: np.ndarray) -> np.ndarray:
    """−∂ψ by the coefficients of all rows, (R,) complex128, without what noise adds to it.

    The derivative by parameters is the real part of its product with theirs.
    """
    group, own = gram.common_group(direction), side_bands(direction)
    gains, weight = group.gains, found.weight
    share = gains * group.inverse / found.density
    share[own] = 0.0
    back = np.sum(weight * np.conj(gains[own]) * (found.order - 2 * found.predicted), axis=0)
    fields = share * back
    fields[own] = weight * found.predicted
    result = np.empty(c.size, dtype=np.complex128)
    for band in range(len(fields)):
        block = band_rows(band // len(BANDS), band % len(BANDS), gram.model.phases)
        result[block] = gram.rows[block][:, group.samples] @ np.conj(fields[band])
    power = np.sum(weight * np.abs(gains[own]) ** 2, axis=0)
    total = -2.0 * (share * power) @ np.conj(share).T
    total[:, own] = share @ (weight * np.conj(gains[own])).T
    total[own, :] = np.conj(total[:, own]).T
    size = c.size // (len(fields) // len(BANDS))
    for d, spread in enumerate(gram.spread):
        one = slice(d * size, (d + 1) * size)
        bands = gram.band_of_row[one]
        pairs = np.conj(total)[np.ix_(bands, bands)].T
        result[one] -= np.conj(c[one]) @ (spread * pairs)
    return -result

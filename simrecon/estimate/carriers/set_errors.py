"""Standard deviations of the fit of one set, by the sandwich formula over blocks of the field.

As :mod:`simrecon.estimate.uncertainty`, which says why.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from simrecon.estimate.blocks import Blocks, coarse_image
from simrecon.estimate.carriers.reach import on_field, wide_field
from simrecon.estimate.carriers.set_fit import SetFit, system
from simrecon.estimate.descent import curvature_scale
from simrecon.estimate.rows import BandImages
from simrecon.estimate.uncertainty import sandwich


def set_errors(fit: SetFit, variance_e2: np.ndarray, *, fit_frequency: bool = True) -> np.ndarray:
    """Standard deviations of the parameters of ``fit.state`` (ln|m| for modulations), (n,).

    Parameters
    ----------
    variance_e2 : ndarray (Y, X)
        Mean noise variance of the frames.
    """
    gram, state, prior = fit.gram, fit.frozen, fit.prior
    carriers = gram.plan.carriers
    matrix = gram.safe_matrix(state, margin=False)
    _, hessian = system(gram, state, matrix, prior, fit.apart)
    jac = gram.plan.jacobian(state)
    field = wide_field(fit.images)
    images = replace(fit.images, field=field, half=on_field(fit.images.half, field))
    blocks = Blocks.on(images)
    scores = _block_scores(fit, images, jac, blocks)
    noise = 2 * np.real(np.conj(jac) @ (gram.noise @ gram.plan.coefficients(state)))
    share = blocks.sums_raw(images.field.window.tapers[0] ** 2 * variance_e2)
    scores -= noise[:, None] * (share / share.sum())
    free = np.ones(carriers.size, dtype=bool)
    free[carriers.parameters_of("frequency")] = fit_frequency
    inner = hessian[np.ix_(free, free)]
    scale = curvature_scale(inner)
    inverse = np.linalg.pinv(inner * np.outer(scale, scale), rcond=1e-9, hermitian=True)
    inverse *= np.outer(scale, scale)
    known = np.diag(prior.precision) + fit.apart.system(state)[1]
    own = inverse @ known[np.ix_(free, free)] @ inverse
    covariance = sandwich(inverse @ scores[free]) + own
    deviation = np.zeros(carriers.size)
    deviation[free] = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    return deviation


def _block_scores(fit: SetFit, images: BandImages, jac: np.ndarray, blocks: Blocks) -> np.ndarray:
    """Gradient of J summed over blocks of pixels, (n, blocks).

    A carrier and its conjugate mirror each other: twice one of them stands for both, and half of
    the whole plane's sum is the half plane's.
    """
    plan, rows, mismatch = fit.gram.plan, fit.gram.rows, fit.gram.mismatch()
    count = len(plan.carriers.carriers)
    pixels = images.field.shape[0] * images.field.shape[1]
    total = np.zeros((jac.shape[0], len(blocks.raw[0]) * len(blocks.raw[1])))
    for band in range(1 + count):
        mirror, factor = (band + count, 1.0) if band else (0, 0.5)
        own, other = plan.block(band), plan.block(mirror)
        residual = coarse_image(mismatch[band], mismatch[mirror], images)
        shown = coarse_image(rows[own], rows[other], images)
        sums = blocks.sums(np.conj(shown) * residual) * pixels
        total += 2 * factor * np.real(np.conj(jac[:, own]) @ sums)
    return total

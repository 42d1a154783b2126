"""What the window's flanks do to the bands of a volume, and its removal.

A window does not commute with the OTF. As in the plane (:mod:`simrecon.estimate.rows`), to first
order

    F{w·(h⊛S)} = A·F{w S} − ∇A·F{∇w S}/2πi

with A what makes the planes of a band out of the object's column (:mod:`.kernels`) and ∇A its slope
over the lateral frequency. The second term pulls the frequency to one side, by 0.01 to 0.05 DFT
samples at 96² whatever the light. Here ``F{∇w S}`` is the column for which the frames speak when
they are windowed by ∇w, and the term is taken off the bands.
"""

from __future__ import annotations

import numpy as np

from simrecon.estimate.volume.field import VolumeField
from simrecon.estimate.volume.kernels import Kernels, LateralSlope
from simrecon.estimate.volume.rows import Rows
from simrecon.estimate.volume.state import band_orders
from simrecon.estimate.volume.weights import Weights, chunks
from simrecon.model.psf import VolumeOTF


def without_flanks(
    rows: Rows, kernels: Kernels, frames: np.ndarray, field: VolumeField, otf: VolumeOTF
) -> Rows:
    """Rows with one more per band, which takes off what the flanks add to it.

    Parameters
    ----------
    rows : Rows
    kernels : Kernels
        At the state of `rows`.
    frames : ndarray (P, Z, Y, X), float32
    field : VolumeField
    otf : VolumeOTF
    """
    state = rows.state
    # this column is estimated and not left free: its prior is the measured power
    weights = Weights.frozen(rows, kernels, field, state, 1.0)
    total = np.zeros((2 * state.orders + 1, field.planes, field.index.size), np.complex64)
    sloped = [_sloped(rows, frames, field, taper) for taper in field.window.tapers[1:]]
    slopes = [LateralSlope.of(otf, kernels, field, state, axis) for axis in range(2)]
    for part in chunks(kernels, np.arange(field.index.size)):
        whitened = weights.whitened(part)
        back = [weights.back(whitened, bands, part) for bands in sloped]
        columns = np.linalg.solve(weights.precision(whitened, part), np.concatenate(back, axis=2))
        for axis, slope in enumerate(slopes):
            for i in range(len(total)):
                moved = slope.planes_of(i, part, columns[..., axis])
                total[i][:, part] += moved.T / np.complex64(2j * np.pi)
    return rows.with_flanks(total)


def _sloped(rows: Rows, frames: np.ndarray, field: VolumeField, slope: np.ndarray) -> np.ndarray:
    """The bands of frames that are windowed by a slope (Y, X) of the window, (2M + 1, Z, K)."""
    state, unmix = rows.state, rows.state.unmixing().astype(np.complex64)
    bands = band_orders(state.orders)
    result = np.empty((len(bands), field.planes, field.index.size), np.complex64)
    for m in range(state.orders + 1):
        light = slope * field.carrier(m * state.frequency_per_um)
        separated = np.tensordot(unmix[bands.index(m)], frames, axes=1) * light
        plus, minus = field.samples(separated)
        result[bands.index(m)] = plus
        if m:
            result[bands.index(-m)] = np.conj(minus)
    return result

"""How strongly the overlapping bands of one direction speak for a carrier, in nats.

With the carrier right, orders ±1 put back in their place show the same object as order 0, so that
``u = G_0 y_1`` and ``v = G_1 y_0`` agree sample by sample. For n independent complex normal
samples of coherence γ the log-likelihood ratio against independence is ``−n ln(1 − γ²)`` (Carter,
Knapp & Nuttall 1973, IEEE Trans. Audio Electroacoust. 21:337, give the statistics of γ²). The
power of the samples is far from equal; n is the number that would carry as much if it were. Unlike
the power that is explained, this counts what is *not* explained against a carrier, and so tells
apart the repeats of a periodic object.
"""

from __future__ import annotations

import numpy as np

from simrecon.estimate.gains import band_gains
from simrecon.estimate.groups import SEPARATE
from simrecon.estimate.mixing import BANDS, DirectionState, unmixing
from simrecon.estimate.rows import BandImages

FULL_COHERENCE = 1.0 - 1e-6


class CoherenceTest:
    """Evidence for carriers of any direction.

    Parameters
    ----------
    images : BandImages
    noise : ndarray (A, P)
        ``Σ w² σ²`` of each frame.
    """

    def __init__(self, images: BandImages, noise: np.ndarray) -> None:
        self.images = images
        self.noise = noise
        field = images.field
        separate_px = SEPARATE * field.cutoff_per_um * min(field.window.padded.extent_um)
        self._used = np.nonzero(images.half.ring > separate_px)[0]

    def nats(self, direction: int, state: DirectionState) -> float:
        """``−n ln(1 − γ²)`` of one direction at `state`; about 1 when there is no carrier."""
        used = self._used
        gains = band_gains(self.images.otf, [state], self.images.half)[:, used]
        unmix = unmixing(state.parameters, state.phase_rad.size)
        noise = np.abs(unmix) ** 2 @ self.noise[direction]
        bands = self.images.orders(direction, state, used)
        cross, measured, predicted, amount, square = 0j, 0.0, 0.0, 0.0, 0.0
        for i in range(1, len(BANDS)):
            u, v = gains[0] * bands[i], gains[i] * bands[0]
            doubt = noise[i] * np.abs(gains[0]) ** 2 + noise[0] * np.abs(gains[i]) ** 2
            seen = (np.abs(gains[0]) > 0) & (np.abs(gains[i]) > 0)
            weight = np.where(seen, 1.0 / np.where(seen, doubt, 1.0), 0.0)
            cross += complex(np.sum(weight * np.conj(v) * u, dtype=np.complex128))
            measured += float(np.sum(weight * np.abs(u) ** 2, dtype=np.float64))
            predicted += float(np.sum(weight * np.abs(v) ** 2, dtype=np.float64))
            both = weight * np.abs(u) * np.abs(v)
            amount += float(np.sum(both, dtype=np.float64))
            square += float(np.sum(both**2, dtype=np.float64))
        if square <= 0 or measured <= 0 or predicted <= 0:
            return 0.0
        coherence = min(abs(cross) ** 2 / (measured * predicted), FULL_COHERENCE)
        return float(-(amount**2) / square * np.log1p(-coherence))

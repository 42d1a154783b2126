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

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simrecon.estimate.gains import floored
from simrecon.estimate.groups import SEPARATE
from simrecon.estimate.mixing import BANDS, DirectionState, unmixing
from simrecon.estimate.rows import BandImages

FULL_COHERENCE = 1.0 - 1e-6


@dataclass(frozen=True)
class Coherence:
    """What orders 0 and ±1 of a direction have in common.

    Attributes
    ----------
    nats : float
        ``−n ln(1 − γ²)``; about 1 when there is no carrier.
    ratio : float
        Orders ±1 over what order 0 predicts for them (modulus): how many times larger the
        modulation is than that of the state. 0 when order 0 is noise only.
    """

    nats: float
    ratio: float


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
        ky, kx = images.half.ky[self._used], images.half.kx[self._used]
        self._ky, self._kx = ky, kx
        self._zero = floored(images.otf(ky, kx))

    def __call__(self, direction: int, states: Sequence[DirectionState]) -> list[Coherence]:
        """Coherence of one direction at each of `states`, which share their frequency."""
        fy, fx = states[0].frequency_per_um
        gains = [
            floored(self.images.otf(self._ky + b * fy, self._kx + b * fx)).astype(np.complex64)
            for b in BANDS[1:]
        ]
        return [self._coherence(direction, state, gains) for state in states]

    def _coherence(
        self, direction: int, state: DirectionState, gains: list[np.ndarray]
    ) -> Coherence:
        zero_gain = self._zero.astype(np.complex64)
        unmix = unmixing(state.parameters, state.phase_rad.size)
        noise = np.abs(unmix) ** 2 @ self.noise[direction]
        zero, *sides = self.images.orders(direction, state, self._used)
        cross, measured, predicted, amount, square, noisy = 0j, 0.0, 0.0, 0.0, 0.0, 0.0
        for i, (gain, side) in enumerate(zip(gains, sides, strict=True), start=1):
            u, v = zero_gain * side, gain * zero
            doubt = noise[i] * np.abs(zero_gain) ** 2 + noise[0] * np.abs(gain) ** 2
            seen = (np.abs(zero_gain) > 0) & (np.abs(gain) > 0)
            weight = np.where(seen, 1.0 / np.where(seen, doubt, 1.0), 0.0)
            cross += complex(np.sum(weight * np.conj(v) * u, dtype=np.complex128))
            power_u, power_v = weight * np.abs(u) ** 2, weight * np.abs(v) ** 2
            measured += float(np.sum(power_u, dtype=np.float64))
            predicted += float(np.sum(power_v, dtype=np.float64))
            noisy += noise[0] * float(np.sum(weight * np.abs(gain) ** 2, dtype=np.float64))
            amount += float(np.sum(np.sqrt(power_u * power_v), dtype=np.float64))
            square += float(np.sum(power_u * power_v, dtype=np.float64))
        if square <= 0:
            return Coherence(0.0, 0.0)
        coherence = min(abs(cross) ** 2 / (measured * predicted), FULL_COHERENCE)
        nats = float(-(amount**2) / square * np.log1p(-coherence))
        signal = predicted - noisy
        return Coherence(nats, abs(cross) / signal if signal > 0 else 0.0)

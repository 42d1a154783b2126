"""How strongly a set of frames speaks for its carriers, one after the other, in nats.

As :mod:`simrecon.estimate.coherence`, with the object predicted by all bands that were accepted
before: the highest harmonics overlap with their neighbours only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simrecon.estimate.carriers.carrier_set import CarrierSet, SetState
from simrecon.estimate.carriers.reach import reaching
from simrecon.estimate.carriers.set_gram import separate_samples, set_gains
from simrecon.estimate.coherence import FULL_COHERENCE
from simrecon.estimate.rows import BandImages

START_MODULATION = 0.5
INCLUDED_NATS = 6.0
"""A carrier with less evidence does not help to predict the next."""


@dataclass(frozen=True)
class SetEvidence:
    """Evidence of every carrier at a state.

    Attributes
    ----------
    nats : ndarray (C,)
        About 1 when there is no such carrier.
    ratio : ndarray (C,), complex128
        Band over prediction at the start modulation: twice the modulation, times the error of the
        phase.
    """

    nats: np.ndarray
    ratio: np.ndarray

    @property
    def total(self) -> float:
        """Sum over the carriers."""
        return float(self.nats.sum())


def set_evidence(
    carriers: CarrierSet, state: SetState, images: BandImages, frames: int, noise: np.ndarray
) -> SetEvidence:
    """Evidence for all carriers, in the order of their frequencies.

    Parameters
    ----------
    noise : ndarray (P,)
        ``Σ w² σ²`` of every frame.
    """
    count = len(carriers.carriers)
    images = reaching(images, carriers, state)
    used = np.nonzero(images.half.ring > separate_samples(images))[0]
    bands = _bands(carriers, state, images, frames)[:, used]
    gains = set_gains(carriers, state, images)[:, used]
    rows = carriers.unmixing(state.phase_rad, state.intensity)
    band_noise = np.abs(rows) ** 2 @ noise
    bands[1:] /= 0.5 * START_MODULATION
    band_noise[1:] /= (0.5 * START_MODULATION) ** 2
    matched = np.conj(gains[0]) * bands[0] / band_noise[0]
    density = np.abs(gains[0]) ** 2 / band_noise[0]
    nats, ratio = np.zeros(count), np.zeros(count, dtype=np.complex128)
    sizes = np.hypot(*carriers.carrier_per_um(state.frequency_per_um)[1 : count + 1].T)
    for c in np.argsort(sizes):
        sides = [1 + c, 1 + c + count]
        nats[c], ratio[c] = _compare(
            bands[sides], gains[sides], band_noise[sides], matched, density
        )
        if nats[c] >= INCLUDED_NATS:
            for turn, b in ((ratio[c], sides[0]), (np.conj(ratio[c]), sides[1])):
                gain = gains[b] * np.complex64(turn)
                matched = matched + np.conj(gain) * bands[b] / band_noise[b]
                density = density + np.abs(gain) ** 2 / band_noise[b]
    return SetEvidence(nats, ratio)


def _bands(carriers: CarrierSet, state: SetState, images: BandImages, frames: int) -> np.ndarray:
    """Bands at their places without amplitudes or corrections, (B, K) complex64."""
    unmix = carriers.unmixing(state.phase_rad, state.intensity).astype(np.complex64)
    vectors = carriers.carrier_per_um(state.frequency_per_um)
    count, half = len(carriers.carriers), images.half
    bands = np.empty((carriers.bands, half.index.size), dtype=np.complex64)
    bands[0] = unmix[0] @ images.zero[frames]
    for c in range(1, count + 1):
        field = np.tensordot(unmix[c], images.images[frames, 0], axes=1)
        plus = images.field.transform(field * images.field.carrier(vectors[c]))
        bands[c], bands[c + count] = plus[half.index], np.conj(plus[half.mirrored])
    return bands


def _compare(
    bands: np.ndarray,
    gains: np.ndarray,
    noise: np.ndarray,
    matched: np.ndarray,
    density: np.ndarray,
) -> tuple[float, complex]:
    """``−n ln(1 − γ²)`` of a carrier and its conjugate against the prediction, and their ratio."""
    safe = np.where(density > 0, density, 1.0)
    cross, measured, predicted, amount, square, power = 0j, 0.0, 0.0, 0.0, 0.0, 0.0
    for sign, (band, gain, own) in enumerate(zip(bands, gains, noise, strict=True)):
        prediction = gain * matched / safe
        doubt = np.abs(gain) ** 2 / safe
        seen = (density > 1e-3 * density.max()) & (np.abs(gain) > 0)
        weight = np.where(seen, 1.0 / (own + doubt), 0.0)
        one = complex(np.sum(weight * np.conj(prediction) * band, dtype=np.complex128))
        cross += np.conj(one) if sign else one
        power_u, power_v = weight * np.abs(band) ** 2, weight * np.abs(prediction) ** 2
        measured += float(np.sum(power_u, dtype=np.float64))
        predicted += float(np.sum(power_v, dtype=np.float64))
        power += float(np.sum(weight * doubt, dtype=np.float64))
        amount += float(np.sum(np.sqrt(power_u * power_v), dtype=np.float64))
        square += float(np.sum(power_u * power_v, dtype=np.float64))
    if square <= 0:
        return 0.0, 0j
    coherence = min(abs(cross) ** 2 / (measured * predicted), FULL_COHERENCE)
    clean = max(predicted - power, 0.1 * predicted)
    return float(-(amount**2) / square * np.log1p(-coherence)), cross / clean

"""Demodulated rows of one set of frames, the noise in them, and their coefficients.

As :mod:`simrecon.estimate.rows` for any number of carriers: for every band the P frames at the
object's place, and for the bands beside 0 two rows ``(y − y_c)·Y``, ``(x − x_c)·Y`` for small steps
of the carrier.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simrecon.estimate.carriers.carrier_set import CarrierSet, SetState
from simrecon.estimate.gains import log_slopes
from simrecon.estimate.rows import BandImages
from simrecon.estimate.window import FieldWindow

POWERS = ((0, 0), (1, 0), (0, 1), (2, 0), (1, 1), (0, 2))


@dataclass(frozen=True)
class RowPlan:
    """Where the rows of every band are, and where they were demodulated.

    Attributes
    ----------
    carriers : CarrierSet
    made : SetState
    """

    carriers: CarrierSet
    made: SetState

    @property
    def size(self) -> int:
        """Number of rows R."""
        return int(self.block(self.carriers.bands - 1).stop)

    def block(self, band: int) -> slice:
        """Rows of one band, derivatives included."""
        phases = self.carriers.phases
        start = 0 if band == 0 else phases + (band - 1) * (phases + 2)
        return slice(start, start + phases + (2 if band else 0))

    def unmixing(self, state: SetState) -> np.ndarray:
        """c_b/a_b of a state, (B, P)."""
        rows = self.carriers.unmixing(state.phase_rad, state.intensity)
        return np.asarray(rows / self.carriers.amplitudes(state.modulation)[:, None])

    def coefficients(self, state: SetState) -> np.ndarray:
        """What makes the bands out of the rows at a state, (R,) complex128."""
        vector = np.zeros(self.size, dtype=np.complex128)
        unmix = self.unmixing(state)
        step = self.carriers.carrier_per_um(state.frequency_per_um - self.made.frequency_per_um)
        scale = self.carriers.amplitudes(self.made.modulation / state.modulation)
        scale[1:] *= 2.0
        phases = self.carriers.phases
        for b in range(self.carriers.bands):
            own = self.block(b)
            vector[own.start : own.start + phases] = unmix[b]
            if b:
                vector[own.start + phases : own.stop] = -2j * np.pi * step[b] * scale[b]
        return vector

    def jacobian(self, state: SetState) -> np.ndarray:
        """Derivatives of :meth:`coefficients` by the parameters, (n, R), by central differences."""
        values = state.parameters
        slopes = np.empty((values.size, self.size), dtype=np.complex128)
        for i in range(values.size):
            step = np.zeros(values.size)
            step[i] = 1e-5
            above = self.coefficients(state.with_parameters(values + step))
            below = self.coefficients(state.with_parameters(values - step))
            slopes[i] = (above - below) / 2e-5
        return slopes


def demodulated(
    plan: RowPlan, images: BandImages, frames: int, *, corrected: bool = True
) -> np.ndarray:
    """Rows of the frames `frames` (index along A) at ``plan.made``, (R, K) complex64."""
    carriers, state = plan.carriers, plan.made
    field, half = images.field, images.half
    shown = images.images[frames]
    used = shown if corrected else shown[:1]
    unmix = plan.unmixing(state).astype(np.complex64)
    vectors = carriers.carrier_per_um(state.frequency_per_um)
    along = (field.y_um[:, None].astype(np.float32), field.x_um[None].astype(np.float32))
    extent = min(field.window.padded.extent_um)
    rows = np.empty((plan.size, half.index.size), dtype=np.complex64)
    rows[plan.block(0)] = (images.zero_corrected if corrected else images.zero)[frames]
    count = len(carriers.carriers)
    for c in range(1, count + 1):
        wave = field.carrier(vectors[c])
        plus = field.transform(used * wave)
        band = np.tensordot(unmix[c], shown[0], axes=1) * wave
        slope = np.stack([field.transform(band * one) for one in along])
        for b, spectra, slopes in (
            (c, plus[..., half.index], slope[:, half.index]),
            (c + count, np.conj(plus[..., half.mirrored]), np.conj(slope[:, half.mirrored])),
        ):
            if corrected:
                logs = log_slopes(images.otf, vectors[b], half, extent) / np.complex64(2j * np.pi)
                own = spectra[0] + logs[0] * spectra[1] + logs[1] * spectra[2]
            else:
                own = spectra[0]
            rows[plan.block(b)] = np.concatenate([own, slopes])
    return rows


def row_noise(plan: RowPlan, variance_e2: np.ndarray, window: FieldWindow) -> np.ndarray:
    """Expected ``conj(row) row'`` from noise, (R, R) complex128.

    Parameters
    ----------
    variance_e2 : ndarray (P, Y, X)
    """
    carriers = plan.carriers
    phases = carriers.phases
    vectors = carriers.carrier_per_um(plan.made.frequency_per_um)
    unmix = plan.unmixing(plan.made)
    result = np.zeros((plan.size, plan.size), dtype=np.complex128)
    for b in range(carriers.bands):
        for b2 in range(b, carriers.bands):
            moments = _moments(variance_e2, vectors[b2] - vectors[b], window)
            block = np.zeros((phases + 2, phases + 2), dtype=np.complex128)
            block[:phases, :phases] = np.diag(moments[:, 0])
            for d in range(2):
                block[phases + d, :phases] = np.conj(unmix[b]) * moments[:, 1 + d]
                block[:phases, phases + d] = unmix[b2] * moments[:, 1 + d]
                for d2 in range(2):
                    both = np.conj(unmix[b]) * unmix[b2] * moments[:, 3 + d + d2]
                    block[phases + d, phases + d2] = both.sum()
            one, other = plan.block(b), plan.block(b2)
            block = block[: one.stop - one.start, : other.stop - other.start]
            result[one, other] = block
            result[other, one] = np.conj(block.T)
    return result


def _moments(variance_e2: np.ndarray, lag_per_um: np.ndarray, window: FieldWindow) -> np.ndarray:
    """``Σ_r w² σ² (1, y, x, y², yx, x²) exp(−2πi q·r)``, (P, 6) complex128."""
    ey = window.wy**2 * np.exp(-2j * np.pi * lag_per_um[0] * window.y_um)
    ex = window.wx**2 * np.exp(-2j * np.pi * lag_per_um[1] * window.x_um)
    left = np.array([ey * window.y_um**power for power in range(3)]).astype(np.complex64)
    right = np.array([ex * window.x_um**power for power in range(3)]).astype(np.complex64)
    table = left @ (variance_e2 @ right.T)
    return np.stack([table[:, py, px] for py, px in POWERS], axis=-1).astype(np.complex128)

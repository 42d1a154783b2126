"""The frames of one direction, demodulated to the place of every band.

Row (b, j) is ``F{w D_j exp(-2πi b p·r)}`` of every plane; two more rows per band b ≠ 0 hold the
separated band times y and x, so that a small step δp of the frequency adds ``−2πi b δp·(those
rows)``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from simrecon.estimate.volume.field import VolumeField
from simrecon.estimate.volume.state import VolumeState, band_orders


@dataclass(frozen=True)
class Rows:
    """Rows of one direction, demodulated at `state`.

    Attributes
    ----------
    values : ndarray (R, Z, K), complex64
    band : ndarray (R,), intp
        Position of the row's band in :func:`band_orders`.
    noise : ndarray (R, R), complex128
        Expected ``conj(row) row'`` of one sample in one plane from noise alone.
    state : VolumeState
    flanks : bool
        Whether every band has a last row that is added to it as it is (:mod:`.flanks`).
    """

    values: np.ndarray
    band: np.ndarray
    noise: np.ndarray
    state: VolumeState
    flanks: bool = False

    @classmethod
    def of(
        cls, frames: np.ndarray, variance_e2: np.ndarray, field: VolumeField, state: VolumeState
    ) -> Rows:
        """From frames (P, Z, Y, X) and their variance, e², of the same shape."""
        phases, orders = frames.shape[0], state.orders
        unmix = state.unmixing()
        taper = field.taper
        along = (
            field.window.y_um[:, None].astype(np.float32),
            field.window.x_um[None].astype(np.float32),
        )
        bands = band_orders(orders)
        starts = _starts(bands, phases)
        values = np.empty((starts[-1], field.planes, field.index.size), np.complex64)

        def put(volume: np.ndarray, band: int, row: int) -> None:
            """Rows of band b from a demodulated volume, of −b from its mirrored conjugate."""
            plus, minus = field.samples(volume)
            values[starts[bands.index(band)] + row] = plus
            if band:
                values[starts[bands.index(-band)] + row] = np.conj(minus)

        for m in range(orders + 1):
            light = taper * field.carrier(m * state.frequency_per_um)
            for j in range(phases):
                put(frames[j] * light, m, j)
            if m:
                c = unmix[bands.index(m)].astype(np.complex64)
                separated = np.tensordot(c, frames, axes=1) * light
                for n, one in enumerate(along):
                    put(separated * one, m, phases + n)
        band = np.repeat(np.arange(len(bands)), np.diff(starts))
        return cls(values, band, _noise(variance_e2.mean(axis=1), field, state), state)

    def members(self, band: int) -> slice:
        """Rows of one band."""
        where = np.flatnonzero(self.band == band)
        return slice(int(where[0]), int(where[-1]) + 1)

    def coefficients(self, state: VolumeState) -> np.ndarray:
        """What makes the bands of `state` out of the rows, (R,) complex128."""
        unmix = state.unmixing()
        step = state.frequency_per_um - self.state.frequency_per_um
        scale = self.state.amplitudes / state.amplitudes
        parts = []
        for i, b in enumerate(band_orders(state.orders)):
            parts.append(unmix[i])
            if b:
                parts.append(-2j * np.pi * b * step * scale[i])
            if self.flanks:
                parts.append(scale[i : i + 1])
        return np.concatenate(parts)

    def bands(self, state: VolumeState) -> np.ndarray:
        """The separated bands, (2M + 1, Z, K) complex64."""
        return np.stack([self.separated(state, i) for i in range(2 * state.orders + 1)])

    def separated(self, state: VolumeState, band: int) -> np.ndarray:
        """One of them, (Z, K) complex64."""
        r = self.members(band)
        c = self.coefficients(state)[r].astype(np.complex64)
        return np.asarray(np.tensordot(c, self.values[r], axes=1))

    def with_flanks(self, flanks: np.ndarray) -> Rows:
        """The same with what (2M + 1, Z, K) is to be added to the bands of their own state."""
        bands = range(len(flanks))
        ends = [self.members(i).stop for i in bands]
        noise = self.noise
        for axis in range(2):
            # the noise of w and that of its slope are not correlated
            noise = np.insert(noise, ends, 0.0, axis=axis)
        values = np.insert(self.values, ends, flanks, axis=0)
        return replace(
            self, values=values, band=np.insert(self.band, ends, bands), noise=noise, flanks=True
        )

    def band_noise(self, state: VolumeState) -> np.ndarray:
        """Noise power of every separated band, (2M + 1,) float64."""
        c = self.coefficients(state)
        members = [self.members(i) for i in range(2 * state.orders + 1)]
        power = [np.real(np.conj(c[r]) @ self.noise[r, r] @ c[r]) for r in members]
        return np.maximum(power, 1e-300)


def _starts(bands: tuple[int, ...], phases: int) -> np.ndarray:
    return np.concatenate([[0], np.cumsum([phases + (2 if b else 0) for b in bands])])


def _noise(variance_e2: np.ndarray, field: VolumeField, state: VolumeState) -> np.ndarray:
    """Noise of the rows from the mean variance of the planes (P, Y, X)."""
    orders, phases = state.orders, variance_e2.shape[0]
    y, x = field.window.y_um, field.window.x_um
    weighted = variance_e2 * field.taper**2
    powers = ((0, 0), (1, 0), (0, 1), (2, 0), (1, 1), (0, 2))
    lags = np.empty((2 * orders + 1, phases, 6), np.complex128)
    for n in range(2 * orders + 1):
        fy, fx = n * state.frequency_per_um
        ey, ex = np.exp(-2j * np.pi * fy * y), np.exp(-2j * np.pi * fx * x)
        for q, (py, px) in enumerate(powers):
            lags[n, :, q] = (weighted @ (ex * x**px)) @ (ey * y**py)

    def lag(n: int, power: int) -> np.ndarray:
        return np.asarray(lags[n, :, power] if n >= 0 else np.conj(lags[-n, :, power]))

    bands = band_orders(orders)
    unmix = state.unmixing()
    starts = _starts(bands, phases)
    noise = np.zeros((starts[-1], starts[-1]), np.complex128)
    for i, b in enumerate(bands):
        for k, b2 in enumerate(bands):
            # E[conj(row_b) row_b2] of one frame is the variance's spectrum at (b2 − b) p
            n = b2 - b
            block = noise[starts[i] : starts[i + 1], starts[k] : starts[k + 1]]
            block[:phases, :phases] = np.diag(lag(n, 0))
            for d in range(2):
                if b:
                    block[phases + d, :phases] = np.conj(unmix[i]) * lag(n, 1 + d)
                if b2:
                    block[:phases, phases + d] = unmix[k] * lag(n, 1 + d)
                for d2 in range(2):
                    if b and b2:
                        total = np.sum(np.conj(unmix[i]) * unmix[k] * lag(n, 3 + d + d2))
                        block[phases + d, phases + d2] = total
    return noise

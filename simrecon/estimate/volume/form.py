"""How well the bands of one direction agree: the quadratic form of the fit.

At every lateral frequency the planes of band b are ``y_b = A_b s + n_b``, A_b being the convolution
with the band's axial kernel (:mod:`.kernels`) and s the object's column, which is longer than the
stack. Eliminating s, of which only a generous prior power P is known, leaves

    J = Σ_k y^H M y,   M = N⁻¹ − N⁻¹ A (A^H N⁻¹ A + 1/P)⁻¹ A^H N⁻¹,

a quadratic form in the coefficients c of the rows. Its expectation at the truth, from noise and
from what of the object M leaves, is known: the fit minimises ``c^H J c − 2 Re c^H E[J] c_0`` with
c_0 the coefficients at which the weights were frozen, so that its slope vanishes at the truth. For
an endless stack this is the comparison of the bands at every (kz, k)
(:mod:`simrecon.estimate.consistency`); for one of a micrometre the ends would spoil that.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from simrecon.estimate.volume.field import VolumeField
from simrecon.estimate.volume.kernels import Kernels
from simrecon.estimate.volume.rows import Rows
from simrecon.estimate.volume.state import VolumeState

PRIOR_FACTOR = 30.0
"""Prior power of the object over its measured one: wide enough to leave the object free."""
RINGS = 24
CHUNK_BYTES = 48e6


@dataclass(frozen=True)
class Form:
    """The form of one direction with its weights frozen.

    Attributes
    ----------
    rows : Rows
    kernels : Kernels
    band_noise : ndarray (2M + 1,)
        N_b of one sample in one plane.
    power : ndarray (K,)
        P.
    matrix : ndarray (R, R), complex128
        Of J, the noise not subtracted.
    noise : ndarray (R, R), complex128
        Its expectation from noise.
    left : ndarray (R,), complex128
        Its expectation from the object, times the coefficients of the frozen state: what M
        leaves of band b is ``tr(A_b (A^H N⁻¹ A + 1/P)⁻¹ A_b^H) / (f N_b)``, f being `PRIOR_FACTOR`.
    """

    rows: Rows
    kernels: Kernels
    band_noise: np.ndarray
    power: np.ndarray
    matrix: np.ndarray
    noise: np.ndarray
    left: np.ndarray

    @classmethod
    def frozen(
        cls,
        rows: Rows,
        kernels: Kernels,
        field: VolumeField,
        state: VolumeState,
        most: int | None = None,
    ) -> Form:
        """Weights of `state`; at most so many samples, spread over the band."""
        bands = rows.bands(state)
        noise = rows.band_noise(state)
        power = _prior_power(bands[0], kernels, noise[0], field)
        samples = np.flatnonzero(kernels.used.any(axis=0))
        if most is not None and samples.size > most:
            samples = np.random.default_rng(0).permutation(samples)[:most]
        size = rows.band.size
        matrix, trace = np.zeros((size, size), complex), np.zeros((len(noise),) * 2)
        left = np.zeros(len(noise))
        members = [rows.members(i) for i in range(len(noise))]
        for part in _chunks(kernels, samples):
            made = [kernels.matrices(i, part) for i in range(len(noise))]
            inverse = _inverse(made, noise, power[part])
            back = np.empty((inverse.shape[0], kernels.column, size), np.complex128)
            for i, r in enumerate(members):
                seen = kernels.used[i, part]
                data = rows.values[r][..., part].transpose(2, 1, 0) * seen[:, None, None]
                back[..., r] = np.conj(made[i].transpose(0, 2, 1)) @ data / np.float32(noise[i])
                flat = data.reshape(-1, data.shape[2])
                matrix[r, r] += np.conj(flat.T) @ flat / noise[i]
                trace[i, i] += float(seen.sum()) * kernels.planes / noise[i]
            solved = inverse @ back
            matrix -= np.conj(back.reshape(-1, size).T) @ solved.reshape(-1, size)
            for i, a in enumerate(made):
                spread = ((a @ inverse) / noise[i]).astype(np.complex64)
                for k in range(i, len(made)):
                    told = float(np.vdot(made[k], spread).real)
                    trace[i, k] -= told / noise[k]
                    if i == k:
                        left[i] += told / PRIOR_FACTOR
                    else:
                        trace[k, i] -= told / noise[k]
        at = np.ix_(rows.band, rows.band)
        shown = np.conj(_shown(rows, state)) * left[rows.band]
        return cls(rows, kernels, noise, power, matrix, rows.noise * trace[at], shown)

    def mismatch(self, state: VolumeState) -> np.ndarray:
        """``M y``, (2M + 1, Z, K) complex64."""
        bands = self.rows.bands(state)
        result = np.zeros_like(bands)
        for part in _chunks(self.kernels, np.arange(bands.shape[2])):
            made = [self.kernels.matrices(i, part) for i in range(len(bands))]
            inverse = _inverse(made, self.band_noise, self.power[part])
            column = self.column(made, bands, part, inverse, range(len(bands)))
            for i, a in enumerate(made):
                seen = self.kernels.used[i, part]
                rest = bands[i][:, part] * seen - (a @ column[..., None])[..., 0].T
                result[i][:, part] = rest / self.band_noise[i]
        return result

    def column(
        self,
        made: list[np.ndarray],
        bands: np.ndarray,
        part: np.ndarray,
        inverse: np.ndarray,
        of: range | list[int],
    ) -> np.ndarray:
        """The object's columns that some bands speak for, (k, Z + 2E)."""
        back = 0.0
        for i in of:
            data = (bands[i][:, part] * self.kernels.used[i, part]).T[..., None]
            back = back + np.conj(made[i].transpose(0, 2, 1)) @ data / self.band_noise[i]
        return np.asarray((inverse @ np.asarray(back))[..., 0])


def _shown(rows: Rows, state: VolumeState) -> np.ndarray:
    """What of its own band every row shows, (R,) complex128; derivative rows show none."""
    mixing = state.mixing() * state.amplitudes
    shown = np.zeros(rows.band.size, complex)
    for i in range(mixing.shape[1]):
        start = rows.members(i).start
        shown[start : start + len(mixing)] = mixing[:, i]
    return shown


def _chunks(kernels: Kernels, samples: np.ndarray) -> Iterator[np.ndarray]:
    """Samples in parts whose matrices fit the memory."""
    bands = kernels.used.shape[0]
    step = max(1, int(CHUNK_BYTES / (8.0 * bands * kernels.planes * kernels.column)))
    for start in range(0, samples.size, step):
        yield samples[start : start + step]


def _inverse(made: list[np.ndarray], noise: np.ndarray, power: np.ndarray) -> np.ndarray:
    """``(Σ_b A_b^H A_b / N_b + 1/P)⁻¹``, (k, S, S) complex128 (it may be stiff)."""
    size = made[0].shape[2]
    total = np.zeros((len(power), size, size), np.complex128)
    for a, n in zip(made, noise, strict=True):
        total += np.conj(a.transpose(0, 2, 1)) @ a / np.float32(n)
    total += np.eye(size) / power[:, None, None]
    return np.asarray(np.linalg.inv(total))


def _prior_power(
    zero: np.ndarray, kernels: Kernels, noise: float, field: VolumeField
) -> np.ndarray:
    """Prior power of the object's column from order 0 (Z, K), a smooth function of |k|."""
    radius = np.hypot(field.ky, field.kx)
    bins = np.minimum((RINGS * radius / radius.max()).astype(np.intp), RINGS - 1)
    centre = kernels.waves.reshape(len(kernels.waves), kernels.planes, -1)[:, kernels.planes // 2]
    energy = np.sum(np.abs(kernels.transfer[0] @ centre) ** 2, axis=1)
    signal = np.maximum(np.mean(np.abs(zero) ** 2, axis=0) - noise, 0.0)
    up, down = np.bincount(bins, signal, RINGS), np.bincount(bins, energy, RINGS)
    ring = up / np.maximum(down, 1e-30)
    # beyond what order 0 shows, the object is at most as strong as where it still shows it
    ring = np.maximum.accumulate(ring[::-1])[::-1]
    least = 1e-3 * noise / max(float(energy.max(initial=0.0)), 1e-30)
    return np.asarray(PRIOR_FACTOR * np.maximum(ring[bins], least))


@dataclass(frozen=True)
class Agreement:
    """One order against what the other bands predict for it.

    Attributes
    ----------
    correlation : float
        Of the noise-free bands, 0…1.
    ratio : complex
        Order over prediction: 1 when phase and modulation are right.
    nats : float
        Evidence that they show the same object (:mod:`simrecon.estimate.coherence`).
    """

    correlation: float
    ratio: complex
    nats: float


def agreement(form: Form, state: VolumeState, order: int, most: int | None = None) -> Agreement:
    """Compare the bands ±`order` with all others, on at most so many samples."""
    bands, noise = form.rows.bands(state), form.band_noise
    samples = np.arange(bands.shape[2])
    if most is not None and samples.size > most:
        samples = np.random.default_rng(1).permutation(samples)[:most]
    sides = (2 * order - 1, 2 * order)
    rest = [i for i in range(len(bands)) if i not in sides]
    cross, predicted, measured = 0j, 0.0, 0.0
    all_p, all_m, amount, square = 0.0, 0.0, 0.0, 0.0
    for part in _chunks(form.kernels, samples):
        made = [form.kernels.matrices(i, part) for i in range(len(bands))]
        inverse = _inverse([made[i] for i in rest], noise[rest], form.power[part])
        column = form.column(made, bands, part, inverse, rest)
        others = form.kernels.used[rest][:, part].any(axis=0)
        for i in sides:
            a, y = made[i], bands[i][:, part].T
            prediction = (a @ column[..., None])[..., 0]
            spread = a @ inverse
            doubt = np.sum(spread * np.conj(a), axis=2).real
            # the part of it that noise puts into the prediction; the rest is left open by the prior
            shown = doubt - np.sum(np.abs(spread) ** 2, axis=2) / form.power[part][:, None]
            seen = (form.kernels.used[i, part] & others)[:, None]
            weight = np.where(seen, 1.0 / (noise[i] + np.maximum(doubt, 0.0)), 0.0)
            cross += complex(np.sum(weight * np.conj(prediction) * y, dtype=np.complex128))
            power_p, power_m = weight * np.abs(prediction) ** 2, weight * np.abs(y) ** 2
            all_p += float(power_p.sum(dtype=np.float64))
            all_m += float(power_m.sum(dtype=np.float64))
            predicted += float(np.sum(power_p - weight * shown, dtype=np.float64))
            measured += float(np.sum(power_m - weight * noise[i], dtype=np.float64))
            amount += float(np.sum(np.sqrt(power_p * power_m), dtype=np.float64))
            square += float(np.sum(power_p * power_m, dtype=np.float64))
    coherence = min(abs(cross) ** 2 / max(all_p * all_m, 1e-300), 1.0 - 1e-6)
    nats = -(amount**2) / square * np.log1p(-coherence) if square > 0 else 0.0
    plain = cross.real / np.sqrt(max(all_p * all_m, 1e-300))
    if predicted <= 0 or measured <= 0:
        return Agreement(float(np.clip(plain, 0.0, 1.0)), 0j, float(nats))
    # less is never right: the correction only takes noise away from both powers
    value = float(np.clip(cross.real / np.sqrt(predicted * measured), max(plain, 0.0), 1.0))
    return Agreement(value, cross / predicted, float(nats))

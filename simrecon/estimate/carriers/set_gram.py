"""How well the bands of one set agree where they overlap, as a quadratic form in the mixing.

The form of :mod:`simrecon.estimate.consistency` for any number of carriers in one set of frames.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simrecon.estimate.carriers.carrier_set import CarrierSet, SetState
from simrecon.estimate.carriers.set_rows import RowPlan, demodulated, row_noise
from simrecon.estimate.gains import floored
from simrecon.estimate.groups import SEPARATE, Group, group_of_bands
from simrecon.estimate.rows import BandImages


@dataclass(frozen=True)
class SetRows:
    """Rows of one set and their noise."""

    plan: RowPlan
    rows: np.ndarray
    noise: np.ndarray

    @classmethod
    def at(
        cls,
        carriers: CarrierSet,
        state: SetState,
        images: BandImages,
        frames: int,
        variance_e2: np.ndarray,
        *,
        corrected: bool,
    ) -> SetRows:
        """Demodulate at a state."""
        plan = RowPlan(carriers, state)
        rows = demodulated(plan, images, frames, corrected=corrected)
        return cls(plan, rows, row_noise(plan, variance_e2, images.field.window))


@dataclass(frozen=True)
class SetOverlap:
    """One carrier against what all other bands predict for it.

    Attributes
    ----------
    correlation : float
        Of the noise-free bands, −1…1.
    ratio : complex
        The carrier's bands over their prediction.
    """

    correlation: float
    ratio: complex


@dataclass(frozen=True)
class SetGram:
    """The frozen quadratic form.

    Attributes
    ----------
    plan : RowPlan
    rows : ndarray (R, K)
    matrix, noise : ndarray (R, R)
        J's matrix with the expected noise subtracted, and what was subtracted.
    bands : ndarray (B, K)
        At the frozen state.
    band_noise : ndarray (B,)
    groups : tuple of Group
        All bands; then the low frequencies, without band 0.
    """

    plan: RowPlan
    rows: np.ndarray
    matrix: np.ndarray
    noise: np.ndarray
    bands: np.ndarray
    band_noise: np.ndarray
    groups: tuple[Group, ...]

    @classmethod
    def frozen(cls, made: SetRows, state: SetState, images: BandImages) -> SetGram:
        """Freeze the weights at a state."""
        plan, rows = made.plan, made.rows
        carriers = plan.carriers
        c = plan.coefficients(state)
        blocks = [plan.block(b) for b in range(carriers.bands)]
        bands = np.array([c[own].astype(np.complex64) @ rows[own] for own in blocks])
        unmix = np.abs(plan.unmixing(state)) ** 2
        frame_noise = np.diag(made.noise).real[: carriers.phases]
        band_noise = unmix @ frame_noise
        groups = _groups(carriers, state, bands, band_noise, images)
        matrix = np.zeros((plan.size,) * 2, dtype=np.complex128)
        total = np.zeros((carriers.bands,) * 2, dtype=np.complex128)
        for group in groups:
            _accumulate(group, rows, blocks, matrix, total)
        of_row = np.repeat(np.arange(carriers.bands), [own.stop - own.start for own in blocks])
        noise = made.noise * total[np.ix_(of_row, of_row)]
        return cls(plan, rows, matrix - noise, noise, bands, band_noise, groups)

    def safe_matrix(self, state: SetState, *, margin: bool = True) -> np.ndarray:
        """J's matrix with no more noise subtracted than there is (see
        :func:`simrecon.estimate.minimise.safe_matrix`).
        """
        share = min(1.0, self.mismatch_chi2(state))
        if margin:
            share -= max(0.02, 4.0 / np.sqrt(max(self.bands.shape[1], 1)))
        return np.asarray(self.matrix + (1.0 - max(share, 0.0)) * self.noise)

    def mismatch_chi2(self, state: SetState) -> float:
        """J before noise subtraction over its expectation from noise: 1 for a right model."""
        c = self.plan.coefficients(state)
        noise = float(np.real(np.conj(c) @ self.noise @ c))
        full = float(np.real(np.conj(c) @ self.matrix @ c)) + noise
        return full / noise if noise > 0 else float("inf")

    def mismatch(self) -> np.ndarray:
        """``ρ A y`` summed over the groups, (B, K) complex64."""
        total = np.zeros_like(self.bands)
        for group in self.groups:
            total[:, group.samples] += group.mismatch(self.bands[:, group.samples])
        return total

    def overlap(self, carrier: int) -> SetOverlap:
        """Carrier c (both signs) against all other bands, low frequencies left out."""
        group = self.groups[0]
        sides = [1 + carrier, 1 + carrier + len(self.plan.carriers.carriers)]
        rest = [b for b in range(self.bands.shape[0]) if b not in sides]
        bands = self.bands[:, group.samples]
        gains, inverse = group.gains[rest], group.inverse[rest]
        density = np.sum(np.abs(gains) ** 2 * inverse, axis=0)
        seen = density > 1e-3 * max(float(density.max()), 1e-30)
        safe = np.where(seen, density, 1.0)
        estimate = np.sum(np.conj(gains) * bands[rest] * inverse, axis=0) / safe
        cross, predicted, measured = 0j, 0.0, 0.0
        for i in sides:
            gain = group.gains[i]
            doubt = np.abs(gain) ** 2 / safe
            used = seen & (np.abs(gain) > 0)
            noise = self.band_noise[i]
            weight = np.where(used, group.weight / (noise + doubt), 0.0)
            prediction = gain * estimate
            cross += complex(np.sum(weight * np.conj(prediction) * bands[i], dtype=np.complex128))
            predicted += float(np.sum(weight * (np.abs(prediction) ** 2 - doubt)))
            measured += float(np.sum(weight * (np.abs(bands[i]) ** 2 - noise)))
        if predicted <= 0 or measured <= 0:
            return SetOverlap(0.0, 0j)
        value = float(np.clip(cross.real / np.sqrt(predicted * measured), -1.0, 1.0))
        return SetOverlap(value, cross / predicted)


def set_gains(carriers: CarrierSet, state: SetState, images: BandImages) -> np.ndarray:
    """``H(k + q_b)`` of all bands, (B, K) complex64; 0 below the OTF's floor."""
    half = images.half
    return np.array(
        [
            floored(images.otf(half.ky + qy, half.kx + qx))
            for qy, qx in carriers.carrier_per_um(state.frequency_per_um)
        ]
    ).astype(np.complex64)


def separate_samples(images: BandImages) -> float:
    """Radius, DFT samples, inside which band 0 is not compared with the others."""
    field = images.field
    return float(SEPARATE * field.cutoff_per_um * min(field.window.padded.extent_um))


def _groups(
    carriers: CarrierSet,
    state: SetState,
    bands: np.ndarray,
    band_noise: np.ndarray,
    images: BandImages,
) -> tuple[Group, ...]:
    """Every band outside the low frequencies; there the bands beside 0 among themselves."""
    gains, ring = set_gains(carriers, state, images), images.half.ring
    low = ring <= separate_samples(images)
    side = (np.arange(carriers.bands) > 0)[:, None]
    common = np.where(side & low[None, :], 0, gains)
    groups = [group_of_bands(bands, common, band_noise, ring, slice(None))]
    if low.any():
        samples = np.nonzero(low)[0]
        apart = np.where(side, gains[:, samples], 0)
        inner = group_of_bands(bands[:, samples], apart, band_noise, ring[samples], samples)
        groups.append(inner)
    return tuple(groups)


def _accumulate(
    group: Group, rows: np.ndarray, blocks: list[slice], matrix: np.ndarray, total: np.ndarray
) -> None:
    """Add a group to J's matrix (R, R) and to Σ_k ρ A (B, B), in place."""
    part = rows[:, group.samples]
    root = np.sqrt(group.weight)
    factors = np.conj(group.gains) * (root / np.sqrt(group.density)) * group.inverse
    total -= np.conj(factors) @ factors.T
    weighted = np.empty_like(part)
    for i, own in enumerate(blocks):
        support = root * np.sqrt(group.inverse[i]) * (np.abs(group.gains[i]) > 0)
        alone = part[own] * support
        matrix[own, own] += np.conj(alone) @ alone.T
        total[i, i] += np.sum(support**2, dtype=np.float64)
        weighted[own] = part[own] * factors[i]
    matrix -= np.conj(weighted) @ weighted.T

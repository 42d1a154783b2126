"""Demodulated frames on the object's spectrum: the rows of which the overlap fit is made.

Every frame of a direction, multiplied by ``exp(-2πi b p·(r − centre))``, windowed and transformed,
shows the object at its own place for band b. All directions and bands are sampled at the same
object frequencies, one half plane.

A window does not commute with the OTF: to first order
``F{w·(h⊛S)} = H·F{w S} − ∇H·F{∇w S}/2πi``. The second term biases the frequency by some
0.007 DFT samples at 512²; it is removed with the frames windowed by ∇w.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from simrecon.estimate.band_field import BandField
from simrecon.estimate.gains import OtfFunction, log_slopes
from simrecon.estimate.half_plane import HalfPlane
from simrecon.estimate.mixing import BANDS, DirectionState, unmixing
from simrecon.threads import on_all_cores


def rows_per_direction(phases: int) -> int:
    """P rows for order 0 and P + 2 for each of ±1."""
    return 3 * phases + 4


def band_rows(direction: int, band: int, phases: int) -> slice:
    """Rows of one band (index into :data:`BANDS`) of one direction, derivatives included."""
    start = direction * rows_per_direction(phases)
    edges = (0, phases, 2 * phases + 2, 3 * phases + 4)
    return slice(start + edges[band], start + edges[band + 1])


@dataclass(frozen=True)
class BandImages:
    """Frames of all directions, windowed and sampled for the detection band.

    Attributes
    ----------
    field : BandField
    half : HalfPlane
    images : ndarray (A, 3, P, MY, MX), float32
        Frames times w, ∂w/∂y, ∂w/∂x on the coarse grid.
    zero : ndarray (A, P, K), complex64
        Order-0 rows: spectra of the frames times w.
    zero_corrected : ndarray (A, P, K), complex64
        The same with the window's correction.
    otf : callable
        H(ky, kx).
    light : mapping of int to ndarray (MY, MX), complex64
        Factor on the carrier of a direction whose pattern varies over the field.
    """

    field: BandField
    half: HalfPlane
    images: np.ndarray
    zero: np.ndarray
    zero_corrected: np.ndarray
    otf: OtfFunction
    light: Mapping[int, np.ndarray] = dataclasses.field(default_factory=dict)

    @classmethod
    def of(
        cls, frames: np.ndarray, field: BandField, otf: OtfFunction, spectra: np.ndarray
    ) -> BandImages:
        """From frames (A, P, Y, X), float32, and their windowed half spectra."""
        half = HalfPlane.within(field, field.cutoff_per_um)
        slopes = log_slopes(otf, np.zeros(2), half, min(field.window.padded.extent_um))
        directions, phases = frames.shape[:2]
        images = np.empty((directions, 3, phases, *field.shape), dtype=np.float32)
        zero = np.empty((directions, phases, half.index.size), dtype=np.complex64)
        corrected = np.empty_like(zero)
        tapers = field.window.tapers

        def sample(d: int) -> None:
            images[d, 0] = field.images(spectra[d])
            np.take(spectra[d].reshape(phases, -1), half.raw_index, 1, out=zero[d], mode="clip")
            corrected[d] = zero[d]
            for n, slope in enumerate(slopes, start=1):
                part = field.window.transform_windowed(frames[d] * tapers[n])
                images[d, n] = field.images(part)
                rows = np.take(part.reshape(phases, -1), half.raw_index, axis=1)
                corrected[d] += _correction(rows, slope)

        on_all_cores(sample, range(directions))
        return cls(field, half, images, zero, corrected, otf)

    def only(self, directions: Sequence[int]) -> BandImages:
        """The same for some of the directions."""
        chosen = list(directions)
        if chosen == list(range(len(self.images))):
            return self
        return replace(
            self,
            images=self.images[chosen],
            zero=self.zero[chosen],
            zero_corrected=self.zero_corrected[chosen],
            light={n: self.light[d] for n, d in enumerate(chosen) if d in self.light},
        )

    def carrier(self, direction: int, state: DirectionState) -> np.ndarray:
        """What demodulates the frames of a direction, (MY, MX) complex64."""
        carrier = self.field.carrier(state.frequency_per_um)
        return carrier * self.light[direction] if direction in self.light else carrier

    def separated(self, direction: int, unmix: np.ndarray) -> np.ndarray:
        """``Σ_j c_j · images`` of a direction, (3, MY, MX) complex64, from coefficients (P,)."""
        images = self.images[direction]
        # Real matrices: a complex one would first copy all images to twice their size.
        parts = np.stack([unmix.real, unmix.imag]).astype(np.float32)
        both = parts @ images.reshape(*images.shape[:2], -1)
        result = np.empty((images.shape[0], both.shape[-1]), dtype=np.complex64)
        result.real, result.imag = both[:, 0], both[:, 1]
        return result.reshape(images.shape[0], *images.shape[2:])

    def rows(
        self,
        direction: int,
        state: DirectionState,
        out: np.ndarray | None = None,
    ) -> np.ndarray:
        """Rows of one direction demodulated at `state`, (3P + 4, K) complex64.

        The derivative rows are ``(y − y_c)·Y`` and ``(x − x_c)·Y`` with Y the order-±1 band at
        the unmixing of `state`; a small frequency step δp adds ``−2πi b δp·(those rows)`` to the
        band. The window's bias is removed.
        """
        field, half = self.field, self.half
        images = self.images[direction]
        phases, count = images.shape[1], half.index.size
        carrier = self.carrier(direction, state)
        result = out
        if result is None:
            result = np.empty((rows_per_direction(phases), count), dtype=np.complex64)
        first, second = (result[band_rows(0, i, phases)] for i in range(1, len(BANDS)))
        self._sample(images[0] * carrier, first[:phases], second[:phases])
        c = unmixing(state.parameters, phases)[1].astype(np.complex64)
        band, *bands = self.separated(direction, c) * carrier
        self._correct(np.stack(bands), state, c, first[:phases], second[:phases])
        along = (field.y_um[:, None].astype(np.float32), field.x_um[None].astype(np.float32))
        for n, position in enumerate(along, start=phases):
            self._sample(band * position, first[n], second[n])
        result[band_rows(0, 0, phases)] = self.zero_corrected[direction]
        return result

    def _correct(
        self,
        bands: np.ndarray,
        state: DirectionState,
        unmix: np.ndarray,
        first: np.ndarray,
        second: np.ndarray,
    ) -> None:
        """Add the window's correction to rows (P, K) of orders ±1, in place.

        Order 1 is corrected as a whole, from its images times ∂w/∂y and ∂w/∂x (2, MY, MX), and
        each row takes the share with which `unmix` (P,) puts the correction together again.
        """
        extent = min(self.field.window.padded.extent_um)
        spectra = np.empty((2, 2, first.shape[1]), dtype=np.complex64)
        self._sample(bands, spectra[0], spectra[1])
        share = (np.conj(unmix) / np.vdot(unmix, unmix).real)[:, None]
        for rows, b, parts, part in (
            (first, 1, spectra[0], share), (second, -1, spectra[1], np.conj(share)),
        ):  # fmt: skip
            slopes = log_slopes(self.otf, b * state.frequency_per_um, self.half, extent)
            whole = sum(_correction(s, slope) for s, slope in zip(parts, slopes, strict=True))
            rows += part * whole

    def _sample(self, images: np.ndarray, direct: np.ndarray, mirrored: np.ndarray) -> None:
        """Spectra of `images` (…, MY, MX) at k into `direct`, conjugates at −k into `mirrored`."""
        spectra = self.field.transform(images)
        np.take(spectra, self.half.index, axis=-1, out=direct, mode="clip")
        np.take(spectra, self.half.mirrored, axis=-1, out=mirrored, mode="clip")
        np.conj(mirrored, out=mirrored)

    def orders(
        self, direction: int, state: DirectionState, used: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Bands 0, +1, −1 in their places, without corrections, (k,) each, at samples `used`."""
        unmix = unmixing(state.parameters, state.phase_rad.size).astype(np.complex64)
        first = np.tensordot(unmix[1], self.images[direction, 0], axes=1)
        plus = self.field.transform(first * self.carrier(direction, state))
        zero = unmix[0] @ self.zero[direction][:, used]
        half = self.half
        return zero, plus[half.index[used]], np.conj(plus[half.mirrored[used]])


def _correction(spectra: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """``∂H/H · F^∂w / 2πi`` along one axis: what lets the window commute with the OTF, (…, K)."""
    correction: np.ndarray = (slope / np.complex64(2j * np.pi)) * spectra
    return correction

"""Where the carrier of a direction is: search of the whole ring, then a sub-pixel maximum.

The frames of one direction differ only by the moving pattern, so their *contrasts* (components
orthogonal to the constant) contain the object times ``exp(±2πi p·r)`` and no zero order. Their
cross-correlation spectrum with the widefield image peaks at ±p whatever the phase steps are. Both
factors are filtered with ``sqrt(signal power)/(signal + noise power)`` of their own ring, the
filter that makes the peak stand out best, so the search needs no OTF.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import maximum_filter

from simrecon.estimate.window import FieldWindow

NEAR_SAMPLES = 4.0
"""Radius of the neighbourhood in which one peak is searched at a time, DFT samples."""
APART_SAMPLES = 1.6
"""Peaks at least so far apart are two: a periodic object repeats the carrier in short steps."""
NEIGHBOUR = 0.5
"""A neighbour counts from this fraction of the peak's power; side lobes of the window are lower."""
MOST_NEIGHBOURS = 4
COARSE_RINGS = 8
"""Rings that share their background."""
LEAST_IN_RING = 10
ROUNDING = 1e-6
"""Smallest meaningful spread of the background, fraction of the highest amplitude."""


@dataclass(frozen=True)
class CarrierPeak:
    """A peak of the cross-correlation spectrum.

    Attributes
    ----------
    frequency_per_um : (float, float)
        Position [fy, fx], cycles/µm, on the half plane fx > 0 (or fx = 0, fy > 0).
    coefficients : ndarray (P,), complex128
        ``Σ_r widefield · contrast_j · exp(-2πi p·r)`` with r from the centre of the field; of
        several planes one after the other, (Z · P,).
    peak_to_background : float
        Amplitude over the median of its ring, in robust standard deviations of that ring.
    """

    frequency_per_um: tuple[float, float]
    coefficients: np.ndarray
    peak_to_background: float


@dataclass(frozen=True)
class SearchRegion:
    """Frequencies that may hold the carrier.

    Attributes
    ----------
    low_per_um, high_per_um : float
        Radii of the ring, cycles/µm.
    angle_rad : float or None
        Expected direction atan2(fy, fx) (modulo π), or None for every direction.
    tolerance_rad : float
        Half-width about `angle_rad`.
    """

    low_per_um: float
    high_per_um: float
    angle_rad: float | None = None
    tolerance_rad: float = 0.12

    def contains(self, ky: np.ndarray, kx: np.ndarray) -> np.ndarray:
        """Mask of the frequencies inside, broadcast shape."""
        radius = np.hypot(ky, kx)
        inside = (radius >= self.low_per_um) & (radius <= self.high_per_um)
        if self.angle_rad is not None:
            off = np.arctan2(ky, kx) - self.angle_rad
            inside &= np.abs((off + np.pi / 2) % np.pi - np.pi / 2) <= self.tolerance_rad
        masked: np.ndarray = inside
        return masked

    @property
    def centre(self) -> tuple[float, float]:
        """A frequency (fy, fx) in its middle."""
        radius, angle = 0.5 * (self.low_per_um + self.high_per_um), self.angle_rad or 0.0
        return radius * float(np.sin(angle)), radius * float(np.cos(angle))

    def holds(self, frequency_per_um: tuple[float, float]) -> bool:
        """Whether one frequency lies inside."""
        fy, fx = frequency_per_um
        return bool(self.contains(np.array(fy), np.array(fx)))


def contrasts(phases: int) -> np.ndarray:
    """Orthonormal contrasts of `phases` frames, (P−1, P) float64: rows sum to zero."""
    j = np.arange(phases)
    rows = []
    for n in range(1, phases // 2 + 1):
        rows.append(np.cos(2 * np.pi * n * j / phases))
        if 2 * n != phases:
            rows.append(np.sin(2 * np.pi * n * j / phases))
    matrix = np.array(rows)
    normalised: np.ndarray = matrix / np.linalg.norm(matrix, axis=1, keepdims=True)
    return normalised


class CarrierSearch:
    """Cross-correlation of every direction with the widefield image.

    Parameters
    ----------
    spectra : ndarray (A, P, KY, KX//2 + 1), complex64
        Windowed frames, transformed (:meth:`FieldWindow.transform`).
    window : FieldWindow
    cutoff_per_um : float or None
        Detection cut-off: frequencies beyond it carry noise only and are left out. None: the
        noise is taken from the outermost ring of the spectrum.
    """

    def __init__(
        self, spectra: np.ndarray, window: FieldWindow, cutoff_per_um: float | None = None
    ) -> None:
        self.window = window
        self.spectra = spectra
        self._ky, self._kx = window.half_frequencies_per_um()
        self._radius = np.hypot(self._ky, self._kx)
        step = 1.0 / min(window.padded.extent_um)
        self._ring = np.floor(self._radius / step).astype(np.intp)
        self._counts = np.maximum(self._ring_sums(np.ones(self._ring.shape)), 1)
        self._members = _members(self._ring // COARSE_RINGS)
        self._limit = cutoff_per_um if cutoff_per_um is not None else float(self._radius.max())
        self._noise = self._beyond_cutoff(cutoff_per_um)
        self.widefield = spectra.mean(axis=(0, 1))
        self._low = np.flatnonzero((self._radius < 0.25 * self._limit) & (self._radius > 0))
        self._reference = self._filtered(self.widefield[None])[0]

    def _ring_sums(self, values: np.ndarray) -> np.ndarray:
        """Sums over the rings of the whole plane."""
        return np.bincount(self._ring.ravel(), (values * self.window.multiplicity).ravel())

    def _beyond_cutoff(self, cutoff_per_um: float | None) -> tuple[np.ndarray, np.ndarray]:
        """Samples that hold noise only, and how often each counts."""
        nyquist = 0.5 / self.window.padded.pixel_um
        start = 1.02 * cutoff_per_um if cutoff_per_um is not None else 0.97 * nyquist
        times = np.broadcast_to(self.window.multiplicity, self._radius.shape).ravel()
        beyond = np.flatnonzero(self._radius > start)
        if times[beyond].sum() < 200:
            beyond = np.flatnonzero(self._radius > 0.97 * float(self._radius.max()))
        return beyond, times[beyond]

    def regression(self, direction: int) -> np.ndarray:
        """Brightness of each frame relative to the widefield image, (P,) float64."""
        low = self._low
        times = np.broadcast_to(self.window.multiplicity, self._radius.shape).ravel()[low]
        reference = self.widefield.ravel()[low]
        frames = self.spectra[direction].reshape(self.spectra.shape[1], -1)[:, low]
        power = float(np.sum(np.abs(reference) ** 2 * times))
        slope: np.ndarray = np.real(frames @ np.conj(reference * times)).astype(np.float64) / power
        return slope

    def _filtered(self, spectra: np.ndarray) -> np.ndarray:
        """Filter `spectra` (n, KY, KX//2 + 1), which share their power, to images (n, NY, NX)."""
        power = np.mean(np.abs(spectra) ** 2, axis=0)
        beyond, times = self._noise
        noise = float(np.average(power.ravel()[beyond], weights=times))
        total = self._ring_sums(power) / self._counts
        signal = np.maximum(total - noise, 0.0)
        gain = np.sqrt(signal) / np.maximum(total, 1e-30)
        gain[total <= 1.1 * noise] = 0.0
        gain[0] = 0.0
        shaped = gain.astype(np.float32)[self._ring] * (self._radius <= self._limit)
        return self.window.images(spectra * shaped)

    def correlation_images(self, direction: int) -> np.ndarray:
        """Widefield times contrasts, (P−1, NY, NX) float32, before the last transform."""
        frames = self.spectra[direction]
        slope = self.regression(direction)
        difference = frames - slope[:, None, None].astype(np.float32) * self.widefield
        rows = contrasts(frames.shape[0]).astype(np.float32)
        components = np.tensordot(rows, difference, axes=1)
        images: np.ndarray = self._filtered(components) * self._reference
        return images

    def amplitude(self, images: np.ndarray) -> np.ndarray:
        """Root of the summed power of the correlation spectrum, (KY, KX//2 + 1) float32."""
        power = np.sum(np.abs(self.window.transform_windowed(images)) ** 2, axis=0)
        amplitude: np.ndarray = np.sqrt(power)
        return amplitude

    def background(
        self, amplitude: np.ndarray, region: SearchRegion
    ) -> tuple[np.ndarray, np.ndarray]:
        """Median and robust standard deviation of `amplitude` in every ring.

        Rings are `COARSE_RINGS` samples wide and taken as full circles even where `region` is a
        sector; infinite spread outside its radii.
        """
        centre = np.zeros(len(self._members))
        spread = np.full(len(self._members), np.inf)
        radius, values = self._radius.ravel(), amplitude.ravel()
        for ring, members in enumerate(self._members):
            inside = radius[members] >= 0.9 * region.low_per_um
            inside &= radius[members] <= 1.1 * region.high_per_um
            if np.count_nonzero(inside) >= LEAST_IN_RING:
                found = values[members[inside]]
                centre[ring] = np.median(found)
                spread[ring] = 1.4826 * np.median(np.abs(found - centre[ring]))
        # Where the filter passes nothing there are rounding errors only.
        spread = np.maximum(spread, ROUNDING * float(amplitude.max()) + 1e-30)
        return centre, spread

    def peaks(
        self, direction: int, region: SearchRegion, count: int = 1, least: float = 0.0
    ) -> list[CarrierPeak]:
        """The `count` highest peaks of one direction inside `region`, highest first.

        The neighbourhood of each is then left out, except for neighbours of nearly the height of
        the first two, which come on top. Peaks below `least` times the highest are left out.
        """
        images = self.correlation_images(direction)
        amplitude = self.amplitude(images)
        centre, spread = self.background(amplitude, region)
        places, ky, kx = self._inside(region)
        ring = self._ring.ravel()[places] // COARSE_RINGS
        score = (amplitude.ravel()[places] - centre[ring]) / spread[ring]
        step = NEAR_SAMPLES / min(self.window.padded.extent_um)
        found: list[CarrierPeak] = []
        for _ in range(count if score.size else 0):
            highest = int(np.argmax(score))
            floor = least * max((p.peak_to_background for p in found), default=0.0)
            if not np.isfinite(score[highest]) or score[highest] < floor:
                break
            frequency, value, coefficients = self._refine(images, (ky[highest], kx[highest]))
            ratio = (value - centre[ring[highest]]) / spread[ring[highest]]
            if all(self._apart(frequency, p) for p in found):
                found.append(CarrierPeak(frequency, coefficients, float(ratio)))
            near = np.hypot(ky - ky[highest], kx - kx[highest]) < step
            score = np.where(near, -np.inf, score)
        if count == 1:
            return found
        for peak in tuple(found[:2]):
            if peak.peak_to_background < NEIGHBOUR * found[0].peak_to_background:
                continue
            for frequency, value, coefficients in self._neighbours(images, peak):
                here = self._coarse_ring(frequency)
                ratio = (value - centre[here]) / spread[here]
                if region.holds(frequency) and all(self._apart(frequency, p) for p in found):
                    found.append(CarrierPeak(frequency, coefficients, float(ratio)))
        return found

    def gap(self, frequency_per_um: tuple[float, float], peak: CarrierPeak) -> float:
        """Distance of a frequency from a peak or its negative, DFT samples."""
        one, other = np.array(frequency_per_um), np.array(peak.frequency_per_um)
        extent = np.array(self.window.padded.extent_um)
        return float(min(np.hypot(*((one - sign * other) * extent)) for sign in (1, -1)))

    def _apart(self, frequency: tuple[float, float], peak: CarrierPeak) -> bool:
        """Whether a frequency and a peak are two."""
        return self.gap(frequency, peak) > APART_SAMPLES

    def _inside(self, region: SearchRegion) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Flat places and frequencies ky, kx of a region's samples, one of each pair ±k."""
        ring = (self._radius >= region.low_per_um) & (self._radius <= region.high_per_um)
        ring[self._ky[:, 0] <= 0, 0] = False
        places = np.flatnonzero(ring)
        row, column = np.unravel_index(places, ring.shape)
        ky, kx = self._ky[row, 0], self._kx[0, column]
        kept = region.contains(ky, kx)
        return places[kept], ky[kept], kx[kept]

    def _coarse_ring(self, frequency: tuple[float, float]) -> int:
        """Index into :meth:`background` of the DFT sample nearest to a frequency."""
        (ny, nx), (ly, lx) = self.window.padded.shape, self.window.padded.extent_um
        row, column = round(frequency[0] * ly), round(frequency[1] * lx) % nx
        if 2 * column > nx:
            row, column = -row, nx - column
        return int(self._ring[row % ny, column]) // COARSE_RINGS

    def _neighbours(
        self, images: np.ndarray, peak: CarrierPeak
    ) -> list[tuple[tuple[float, float], float, np.ndarray]]:
        """Other maxima near a peak with at least `NEIGHBOUR` of its power, refined."""
        y, x = self._positions()
        dy, dx = (0.5 / length for length in self.window.padded.extent_um)
        offsets = np.arange(-2 * int(NEAR_SAMPLES) - 2, 2 * int(NEAR_SAMPLES) + 3)
        fy, fx = peak.frequency_per_um
        gy, gx = fy + dy * offsets, fx + dx * offsets
        power = np.sum(np.abs(zoomed_dft(images, y, x, gy, gx)) ** 2, axis=0)
        highest = maximum_filter(power, 3, mode="constant")
        least = NEIGHBOUR * self._value(images, (fy, fx))[0] ** 2
        rows, columns = np.nonzero((power == highest) & (power >= least))
        order = np.argsort(-power[rows, columns])
        starts = [(float(gy[rows[n]]), float(gx[columns[n]])) for n in order]
        starts = [s for s in starts if self._apart(s, peak)][:MOST_NEIGHBOURS]
        return [self._refine(images, s, 1) for s in starts]

    def at(self, direction: int, frequency_per_um: tuple[float, float]) -> CarrierPeak:
        """Carrier of one direction at a frequency that is known."""
        images = self.correlation_images(direction)
        amplitude = self.amplitude(images)
        radius = float(np.hypot(*frequency_per_um))
        centre, spread = self.background(amplitude, SearchRegion(0.9 * radius, 1.1 * radius))
        value, coefficients = self._value(images, frequency_per_um)
        here = self._coarse_ring(frequency_per_um)
        return CarrierPeak(
            frequency_per_um, coefficients, float((value - centre[here]) / spread[here])
        )

    def marks(self, direction: int, points_per_um: np.ndarray) -> np.ndarray:
        """``Σ_r (frame − its share of widefield) · widefield · exp(-2πi f·r)``, filtered.

        Parameters
        ----------
        points_per_um : ndarray (M, 2)
            Frequencies [fy, fx].

        Returns
        -------
        ndarray (P, M), complex128
            r counts from the centre of the field.
        """
        slope = self.regression(direction)[:, None, None].astype(np.float32)
        rest = self._filtered(self.spectra[direction] - slope * self.widefield).real
        images = (rest * self._reference.real).astype(np.float64)
        y, x = self._positions()
        along_x = images @ np.exp(-2j * np.pi * np.outer(x, points_per_um[:, 1]))
        along_y = np.exp(-2j * np.pi * np.outer(y, points_per_um[:, 0]))
        return np.asarray(np.einsum("pym,ym->pm", along_x, along_y))

    def _value(
        self, images: np.ndarray, frequency_per_um: tuple[float, float]
    ) -> tuple[float, np.ndarray]:
        """Amplitude and coefficients at one frequency."""
        fy, fx = frequency_per_um
        y, x = self._positions()
        value = zoomed_dft(images, y, x, np.array([fy]), np.array([fx]))[:, 0, 0]
        rows = contrasts(self.spectra.shape[1])
        coefficients: np.ndarray = (value.reshape(-1, len(rows)) @ rows).ravel()
        return float(np.linalg.norm(value)), coefficients

    def _positions(self) -> tuple[np.ndarray, np.ndarray]:
        ny, nx = self.window.padded.shape
        pixel = self.window.padded.pixel_um
        y = self.window.y_um[0] + pixel * np.arange(ny)
        x = self.window.x_um[0] + pixel * np.arange(nx)
        return y, x

    def _refine(
        self, images: np.ndarray, start: tuple[float, float], first_reach: int = int(NEAR_SAMPLES)
    ) -> tuple[tuple[float, float], float, np.ndarray]:
        """Zoomed DFTs round `start`, then a parabola; amplitude and coefficients.

        The first covers `first_reach` half samples: of a narrow peak between two samples the DFT
        shows little, and its side lobe may be higher there.
        """
        y, x = self._positions()
        fy, fx = start
        dy, dx = (0.5 / length for length in self.window.padded.extent_um)
        for reach in (first_reach, 2, 2):
            offsets = np.arange(-reach, reach + 1)
            gy, gx = fy + dy * offsets, fx + dx * offsets
            value = zoomed_dft(images, y, x, gy, gx)
            power = np.sum(np.abs(value) ** 2, axis=0)
            iy, ix = np.unravel_index(int(np.argmax(power)), power.shape)
            fy = gy[iy] + dy * _parabola(power[:, ix], int(iy))
            fx = gx[ix] + dx * _parabola(power[iy, :], int(ix))
            if reach == 2:
                dy, dx = dy / 5, dx / 5
        frequency = (float(fy), float(fx))
        return frequency, *self._value(images, frequency)


def _members(ring: np.ndarray) -> list[np.ndarray]:
    """Flat places of the samples of every ring (KY, KX//2 + 1), one of each pair ±k."""
    ring = ring.astype(np.int16)  # sorted by radix
    ring[ring.shape[0] // 2 + 1 :, 0] = -1  # repeats the upper half of the column
    order = np.argsort(ring, axis=None, kind="stable")
    edges = np.searchsorted(ring.ravel()[order], np.arange(int(ring.max()) + 2))
    return np.split(order, edges)[1:-1]


def zoomed_dft(
    images: np.ndarray, y_um: np.ndarray, x_um: np.ndarray, fy: np.ndarray, fx: np.ndarray
) -> np.ndarray:
    """``Σ_r image(r) exp(-2πi f·r)`` of real images at the grid fy × fx, (n, FY, FX)."""
    ey = np.exp(-2j * np.pi * np.outer(fy, y_um)).astype(np.complex64)
    along = 2 * np.pi * np.outer(x_um, fx)
    waves = np.concatenate([np.cos(along), -np.sin(along)], axis=1).astype(images.dtype)
    parts = images @ waves
    value: np.ndarray = ey @ (parts[..., : fx.size] + 1j * parts[..., fx.size :])
    return value


def _parabola(values: np.ndarray, index: int) -> float:
    """Offset of the vertex through three samples round `index`, within ±0.5, in samples."""
    if not 0 < index < len(values) - 1:
        return 0.0
    left, mid, right = (float(values[index + n]) for n in (-1, 0, 1))
    curvature = left - 2 * mid + right
    if curvature >= 0:
        return 0.0
    return float(np.clip(0.5 * (left - right) / curvature, -0.5, 0.5))

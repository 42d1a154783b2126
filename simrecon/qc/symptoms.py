"""What can be measured about a reconstruction that went wrong: numbers, not yet causes.

All on the brightest part of the field (at most 256 pixels a side), from the raw frames and the
pattern that was used. :mod:`.explain` turns them into likely causes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from scipy.ndimage import median_filter

from simrecon.estimate.drift import measure_drift
from simrecon.estimate.frequency import CarrierSearch, SearchRegion
from simrecon.estimate.order import OrderRow, compare_orders
from simrecon.estimate.window import FieldWindow
from simrecon.model.grid import Grid
from simrecon.model.pattern import PatternFit, Verdict
from simrecon.model.psf import DetectionOTF
from simrecon.qc.raw_consistency import MAX_SIDE_PX
from simrecon.recon.band_overlap import BandOverlap
from simrecon.recon.bands import Band, make_bands, zero_and_first
from simrecon.recon.part import brightest, shifted
from simrecon.recon.shift import frames_at_rest

PatternSource = Literal["fitted", "frequencies", "complete"]
"""Pattern that was fitted, given as frequencies only (the rest fitted), or given complete."""
EDGE_PX = 6
CLEAR_PEAK = 12.0
"""Peak height from which a carrier's place is believed."""
_LOW_PER_UM = (0.3, 1.0)
"""Upper limits of the very lowest and of the low frequencies, cycles/µm."""


@dataclass(frozen=True)
class DirectionSymptoms:
    """Of one direction; None: not measurable.

    Attributes
    ----------
    agreement : complex or None
        Band 1 over what the pattern and band 0 predict (:mod:`.raw_consistency`): 1 is right.
    low_agreement : float or None
        Its modulus where band 0 is at 0.3–1 cycles/µm over its modulus elsewhere.
    slope : float or None
        ln |c| where band 0 is at low frequencies less that where band 1 is: 0 for the right OTF,
        negative when the assumed OTF is too wide.
    haze_agreement : float or None
        |c| below 0.3 cycles/µm over that elsewhere: smooth light without stripes makes it small.
    carrier_off_samples : float or None
        Distance of the strongest pattern peak from the pattern's frequency, DFT samples.
    carrier_sd_samples : float
        Standard deviation of the pattern's frequency, DFT samples.
    frame_turns_rad : tuple of float
        Phase of every frame less the pattern's, common part taken off.
    frame_brightness : tuple of float
        Mean of every frame over the pattern's intensity, over the mean of all frames.
    modulation, modulation_sd : float
        Of the pattern that was used.
    verdict : str
        Of the fit.
    rivalry : float or None
        Evidence for the best other carrier over that for the one used.
    """

    agreement: complex | None
    low_agreement: float | None
    slope: float | None
    haze_agreement: float | None
    carrier_off_samples: float | None
    frame_turns_rad: tuple[float, ...]
    frame_brightness: tuple[float, ...]
    modulation: float
    modulation_sd: float
    carrier_sd_samples: float = 0.0
    verdict: Verdict = "ok"
    rivalry: float | None = None


@dataclass(frozen=True)
class Symptoms:
    """Of one acquisition.

    Attributes
    ----------
    directions : tuple of DirectionSymptoms
    dark_sigmas : float
        Darkest smoothed parts of the mean frame, in their own noise: negative is impossible.
    background_share : float
        Darkest smoothed parts of the mean frame over its mean.
    light_e : float
        99.9th percentile of the mean frame, photo-electrons.
    noise_share : float or None
        Noise power of the picture over its power.
    widefield_noise_share : float
        The same for the mean of all frames.
    edge_ratio : float
        Fine structure within 6 pixels of the border over that inside, against the same ratio of
        the widefield.
    edge_light : float
        Light at the border over the mean light, widefield.
    drift_px : float
        Root mean square displacement of the frames, where it is significant; else 0.
    orders : tuple of OrderRow
        Readings of these frames, best first.
    noise_ratio : float or None
        Noise beyond the cut-off over what the camera predicts.
    saturated : float
        Share of saturated pixels.
    regularization : str
        "auto" or "wiener".
    regularization_factor : float
        Of "auto"; 1 is neutral.
    residual : tuple of (int, int, float)
        Direction, order and height of suspicious peaks left in the picture.
    pattern_source : str
        Where the pattern is from.
    drift_corrected : bool
        Whether drift was looked for and corrected.
    """

    directions: tuple[DirectionSymptoms, ...]
    dark_sigmas: float
    background_share: float
    light_e: float
    noise_share: float | None
    widefield_noise_share: float
    edge_ratio: float
    edge_light: float
    drift_px: float
    orders: tuple[OrderRow, ...] = field(default=())
    noise_ratio: float | None = None
    saturated: float = 0.0
    regularization: str = "auto"
    regularization_factor: float = 1.0
    residual: tuple[tuple[int, int, float], ...] = ()
    pattern_source: PatternSource = "complete"
    drift_corrected: bool = False


def measure(
    frames_e: np.ndarray,
    variance_e2: np.ndarray,
    pattern: PatternFit,
    otf: DetectionOTF,
    pixel_um: float,
    image: np.ndarray,
    image_variance: np.ndarray | None,
) -> Symptoms:
    """Measure one acquisition.

    Parameters
    ----------
    frames_e, variance_e2 : ndarray, shape (A, P, Y, X)
    pattern, otf
        What the reconstruction used.
    pixel_um : float
    image, image_variance : ndarray, shape (qY, qX)
        The picture and, if known, its variance.
    """
    rest = frames_at_rest(frames_e, pattern)
    part = brightest(rest.mean(axis=(0, 1)), MAX_SIDE_PX)
    frames, variance = rest[..., part[0], part[1]], variance_e2[..., part[0], part[1]]
    shape = (int(frames.shape[2]), int(frames.shape[3]))
    local = shifted(pattern.at_rest(), (part[0].start, part[1].start), shape)
    wide = frames.mean(axis=(0, 1), dtype=np.float64)
    wide_noise = float(variance.mean()) / (frames.shape[0] * frames.shape[1])
    dark, sigmas = _darkest(wide, wide_noise)
    ratio, light = _edges(image, frames_e.mean(axis=(0, 1), dtype=np.float64))
    sequence = frames.reshape(-1, *shape)
    return Symptoms(
        directions=_directions(frames, variance, local, otf, pixel_um),
        dark_sigmas=sigmas,
        background_share=dark / max(float(wide.mean()), 1e-12),
        light_e=float(np.percentile(wide, 99.9)),
        noise_share=None
        if image_variance is None
        else float(image_variance.mean()) / max(float(image.var()), 1e-12),
        widefield_noise_share=wide_noise / max(float(wide.var()), 1e-12),
        edge_ratio=ratio,
        edge_light=light,
        drift_px=_drift_px(rest, variance_e2, pattern.at_rest(), otf),
        orders=compare_orders(sequence, frames.shape[0], frames.shape[1], pixel_um),
    )


def _drift_px(
    frames: np.ndarray, variance: np.ndarray, pattern: PatternFit, otf: DetectionOTF
) -> float:
    """Significant rms displacement; 0 for one direction, which has nothing to be held against."""
    if len(pattern.directions) < 2:
        return 0.0
    drift = measure_drift(frames, variance, pattern, otf)
    if not drift.significant(pattern.pixel_um):
        return 0.0
    return float(np.sqrt(np.mean(np.sum(drift.drift_um**2, axis=-1)))) / pattern.pixel_um


def _brightness(frames: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Mean of every frame (A, P) without single hot pixels, which no lens can make.

    The narrowest image of a point is less than 3 times the median of its 3 × 3 neighbourhood.
    """
    around = median_filter(frames, size=(1, 1, 3, 3))
    hot = frames > 3.0 * np.maximum(around, 0.0) + 8.0 * np.sqrt(variance)
    return np.asarray(np.where(hot, around, frames).mean(axis=(2, 3), dtype=np.float64))


def _directions(
    frames: np.ndarray,
    variance: np.ndarray,
    pattern: PatternFit,
    otf: DetectionOTF,
    pixel_um: float,
) -> tuple[DirectionSymptoms, ...]:
    shape = (int(frames.shape[2]), int(frames.shape[3]))
    grid = Grid(shape, pixel_um)
    noise = variance.mean(axis=(2, 3), dtype=np.float64)
    bands = make_bands(pattern, noise)
    window = FieldWindow.on(shape, pixel_um, 0.5)
    search = CarrierSearch(window.transform(frames.astype(np.float32)), window, otf.cutoff_per_um)
    lamp = np.array([d.intensity for d in pattern.directions])
    brightness = _brightness(frames, variance) / lamp
    brightness /= max(float(brightness.mean()), 1e-12)
    out = []
    for d, one in enumerate(pattern.directions):
        zero, first = zero_and_first(bands, d)
        overlap = Overlap.of(frames[zero.frames], zero, first, otf, grid)
        out.append(
            DirectionSymptoms(
                agreement=overlap.ratio(overlap.everywhere),
                low_agreement=overlap.low_agreement(),
                slope=overlap.slope(),
                haze_agreement=overlap.haze_agreement(),
                carrier_off_samples=_carrier_off(search, d, one.frequency_per_um),
                frame_turns_rad=_turns(search, d, one.frequency_per_um, one.phase_rad, window),
                frame_brightness=tuple(float(b) for b in brightness[d]),
                modulation=one.modulation[0],
                modulation_sd=one.modulation_sd[0] if one.modulation_sd else 0.0,
                carrier_sd_samples=float(
                    np.hypot(*(np.array(one.frequency_sd_per_um) * window.padded.extent_um))
                ),
                verdict=one.verdict,
                rivalry=one.rivalry,
            )
        )
    return tuple(out)


@dataclass(frozen=True)
class Overlap:
    """Bands 0 and 1 of one direction with the distances of their frequencies from both centres."""

    bands: BandOverlap
    near_per_um: np.ndarray
    far_per_um: np.ndarray

    @classmethod
    def of(
        cls, frames: np.ndarray, zero: Band, one: Band, otf: DetectionOTF, grid: Grid
    ) -> Overlap:
        """From the frames (P, Y, X) of one direction."""
        ky, kx = grid.frequencies_per_um()
        near = np.hypot(ky, kx)
        far = np.hypot(ky + one.carrier_per_um[0], kx + one.carrier_per_um[1])
        both = (np.maximum(near, far) < 0.9 * otf.cutoff_per_um) & (near > 0)
        bands = BandOverlap.of(frames, zero, one, otf, grid, both)
        return cls(bands, near[both], far[both])

    @property
    def everywhere(self) -> np.ndarray:
        """The whole overlap but for the lowest frequencies of either band."""
        return np.asarray(np.minimum(self.near_per_um, self.far_per_um) > _LOW_PER_UM[0])

    def ratio(self, where: np.ndarray) -> complex | None:
        """Band 1 over band 0 there; None without enough signal."""
        weight = where * self.bands.weight
        power = self.bands.power(weight)
        noise = float(np.sum(weight * self.bands.noise_x))
        if np.count_nonzero(where) < 30 or power < 0.3 * noise:
            return None
        return self.bands.cross(weight) / power

    def low_agreement(self) -> float | None:
        """|c| at low frequencies of band 0 over that elsewhere."""
        low = self.ratio(self.everywhere & (self.near_per_um < _LOW_PER_UM[1]))
        rest = self.ratio(self.near_per_um > 2 * _LOW_PER_UM[1])
        return None if low is None or rest is None else abs(low) / max(abs(rest), 1e-6)

    def haze_agreement(self) -> float | None:
        """|c| at the very lowest frequencies of band 0 over that elsewhere."""
        low = self.ratio(self.near_per_um < _LOW_PER_UM[0])
        rest = self.ratio(self.everywhere)
        return None if low is None or rest is None else abs(low) / max(abs(rest), 1e-6)

    def slope(self) -> float | None:
        """Ln |c| near band 0's centre less that near band 1's."""
        first = self.ratio(
            (self.near_per_um < 0.75 * self.far_per_um) & (self.near_per_um > _LOW_PER_UM[1])
        )
        second = self.ratio(
            (self.far_per_um < 0.75 * self.near_per_um) & (self.far_per_um > _LOW_PER_UM[1])
        )
        if first is None or second is None:
            return None
        return float(np.log(max(abs(first), 1e-6) / max(abs(second), 1e-6)))


def _carrier_off(
    search: CarrierSearch, direction: int, frequency_per_um: tuple[float, float]
) -> float | None:
    radius = float(np.hypot(*frequency_per_um))
    region = SearchRegion(0.6 * radius, 1.5 * radius)
    peaks = search.peaks(direction, region)
    if not peaks or peaks[0].peak_to_background < CLEAR_PEAK:
        return None
    found, given = np.array(peaks[0].frequency_per_um), np.array(frequency_per_um)
    extent = np.array(search.window.padded.extent_um)
    return float(min(np.hypot(*((found - s * given) * extent)) for s in (1, -1)))


def _turns(
    search: CarrierSearch,
    direction: int,
    frequency_per_um: tuple[float, float],
    phase_rad: tuple[float, ...],
    window: FieldWindow,
) -> tuple[float, ...]:
    """Phase of every frame's mark less the pattern's, without the common part."""
    marks = search.marks(direction, np.array([frequency_per_um]))[:, 0]
    centre = 2 * np.pi * float(np.dot(frequency_per_um, window.centre_um))
    turned = marks * np.exp(-1j * (np.array(phase_rad) + centre))
    common = turned.sum()
    return tuple(float(v) for v in np.angle(turned * np.conj(common)))


def _darkest(wide: np.ndarray, noise_e2: float) -> tuple[float, float]:
    """Darkest hundredth of 4 × 4 means: its level, and the same in units of its noise."""
    ny, nx = (n // 4 for n in wide.shape)
    small = wide[: 4 * ny, : 4 * nx].reshape(ny, 4, nx, 4).mean(axis=(1, 3))
    level = float(np.percentile(small, 1.0))
    return level, level / max(np.sqrt(noise_e2 / 16), 1e-12)


def _edges(image: np.ndarray, wide: np.ndarray) -> tuple[float, float]:
    """Fine structure at the border against inside, picture over widefield; light at the border."""

    def shares(picture: np.ndarray, width: int) -> float:
        rows, columns = np.diff(picture, 2, axis=0)[:, 1:-1], np.diff(picture, 2, axis=1)[1:-1]
        fine = np.abs(rows) + np.abs(columns)
        inside = fine[width:-width, width:-width]
        total, inner = float(np.sum(fine**2)), float(np.sum(inside**2))
        rim = (total - inner) / (fine.size - inside.size)
        return rim / max(inner / inside.size, 1e-30)

    zoom = image.shape[0] // wide.shape[0]
    rim = np.ones(wide.shape, bool)
    rim[EDGE_PX:-EDGE_PX, EDGE_PX:-EDGE_PX] = False
    light = float(wide[rim].mean() / max(float(wide.mean()), 1e-12))
    ratio = shares(image.astype(np.float64), EDGE_PX * zoom) / max(shares(wide, EDGE_PX), 1e-30)
    return ratio, light

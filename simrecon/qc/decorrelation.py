"""Resolution of a single image by decorrelation analysis (Descloux et al., Nat. Methods 16, 918).

The image's spectrum is correlated with its own phase-only version inside discs of growing
radius r. Both share phases, so that the correlation depends on radial sums alone:

    d(r) = Σ_{k<r} |I| / sqrt( Σ |I|² · N(r) ),

and a high-pass filter g(k) only multiplies |I|. The whole series of filters costs one FFT.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simrecon.qc._rings import checked_plane, edge_taper, make_rings, spectrum

_FILTERS = 40
_MIN_DROP = 1e-3  # d(r) must fall at least this much after a maximum


@dataclass(frozen=True)
class Decorrelation:
    """Result of the analysis.

    Attributes
    ----------
    resolution_um : float or None
        1/cutoff; None when no curve has a maximum (the image holds no correlated detail).
    cutoff_per_um : float or None
        Largest frequency at which one of the filtered curves has its maximum.
    amplitude : float
        Height of the unfiltered curve's maximum: a measure of SNR, 0…1.
    frequency_per_um : ndarray, (n,)
        Disc radii of the curves.
    curves : ndarray, (filters + 1, n)
        d(r), unfiltered first.
    """

    resolution_um: float | None
    cutoff_per_um: float | None
    amplitude: float
    frequency_per_um: np.ndarray
    curves: np.ndarray


def decorrelation_resolution(
    image: np.ndarray, pixel_um: float, *, direction_rad: float | None = None
) -> Decorrelation:
    """Estimate the resolution of one image without a reference.

    Parameters
    ----------
    image : ndarray, (Y, X)
        Any size; a tenth at each edge is faded out.
    pixel_um
        Pitch, µm.
    direction_rad
        Restrict the spectrum to a double wedge of ±15° about this angle, atan2(ky, kx).

    Returns
    -------
    Decorrelation

    Notes
    -----
    It finds where signal sinks into noise, never beyond the optical cut-off; a noise-free or
    over-smoothed picture gives the edge of its spectrum. Label it "indicative".
    """
    plane = checked_plane(image)
    shape = (plane.shape[0], plane.shape[1])
    magnitude = np.abs(spectrum(plane, edge_taper(shape)))
    rings = make_rings(shape, direction_rad=direction_rad)
    amplitude_sum = rings.total(magnitude)
    power_sum = rings.total(magnitude**2)
    samples = rings.samples
    radius = np.arange(1, rings.count + 1) / rings.count  # outer edge of each disc, 1 = Nyquist
    centre = rings.frequency_per_px * 2.0
    curves = [_curve(amplitude_sum, power_sum, samples, np.ones_like(centre))]
    first = _maximum(curves[0], radius)
    # blur widths in pixels, from the whole picture to a fraction of a pixel
    for sigma_px in np.geomspace(min(shape) / 8.0, 0.1, _FILTERS):
        high_pass = 1.0 - np.exp(-0.5 * (np.pi * sigma_px * centre) ** 2)
        curves.append(_curve(amplitude_sum, power_sum, samples, high_pass))
    peaks = [p for p in (_maximum(c, radius) for c in curves) if p is not None]
    frequency = radius * 0.5 / pixel_um
    height = 0.0 if first is None else first[1]
    if not peaks:
        return Decorrelation(None, None, height, frequency, np.asarray(curves))
    cutoff = max(p[0] for p in peaks) * 0.5 / pixel_um
    return Decorrelation(1.0 / cutoff, cutoff, height, frequency, np.asarray(curves))


def _curve(
    amplitude: np.ndarray, power: np.ndarray, samples: np.ndarray, high_pass: np.ndarray
) -> np.ndarray:
    top = np.cumsum(amplitude * high_pass)
    bottom = np.sqrt(np.sum(power * high_pass**2) * np.maximum(np.cumsum(samples), 1))
    return np.asarray(top / bottom)


def _maximum(curve: np.ndarray, radius: np.ndarray) -> tuple[float, float] | None:
    """Position and height of the highest maximum after which the curve falls by `_MIN_DROP`.

    A rising tail is cut off step by step; a curve that only rises or only falls has none.
    """
    end = curve.size
    while end > 2:
        i = int(np.argmax(curve[:end]))
        if i == 0:
            return None
        if curve[i] - curve[i:end].min() >= _MIN_DROP:
            return _parabola(curve, radius, i)
        end = i
    return None


def _parabola(curve: np.ndarray, radius: np.ndarray, i: int) -> tuple[float, float]:
    left, mid, right = curve[i - 1], curve[i], curve[i + 1]
    bend = left - 2.0 * mid + right
    shift = 0.0 if bend >= 0 else float(np.clip(0.5 * (left - right) / bend, -0.5, 0.5))
    return float(radius[i] + shift * (radius[1] - radius[0])), float(mid)

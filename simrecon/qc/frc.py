"""Fourier ring correlation of two independent images of the same object."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.ndimage import gaussian_filter1d

from simrecon.errors import InputError, UsageError
from simrecon.qc._rings import checked_plane, edge_taper, make_rings, spectrum

Threshold = Literal["1/7", "half-bit"] | float
_SMOOTHING = 0.025  # σ of the smoothing along frequency, as a fraction of the Nyquist frequency
_TAPER = 0.125  # faded fraction at each edge
_FIRST_RINGS = 3


@dataclass(frozen=True)
class FrcResult:
    """A ring-correlation curve with the frequency where it falls below its threshold.

    Attributes
    ----------
    frequency_per_um, correlation, threshold : ndarray, (n,)
        Ring centres, smoothed correlation, and the threshold at each ring.
    crossing_per_um : float or None
        First frequency where the curve crosses its threshold; None when it never does.
    resolution_um : float or None
        1/crossing; None when there is no crossing (an answer, not an error: see `note`).
    note : str
        What the number means, for a report.
    """

    frequency_per_um: np.ndarray
    correlation: np.ndarray
    threshold: np.ndarray
    crossing_per_um: float | None
    resolution_um: float | None
    note: str


def frc(
    first: np.ndarray,
    second: np.ndarray,
    pixel_um: float,
    *,
    threshold: Threshold = "1/7",
    direction_rad: float | None = None,
) -> FrcResult:
    """Fourier ring correlation.

    Parameters
    ----------
    first, second : ndarray, (Y, X)
        Two images with independent noise, split *before* reconstruction (two acquisitions,
        photon splitting, re-corruption); any size, no zero-padding is done.
    pixel_um
        Their pitch, µm.
    threshold
        ``1/7`` (default), ``half-bit`` (van Heel and Schatz, J. Struct. Biol. 151, 250 (2005),
        eq. 17), or a number.
    direction_rad
        Restrict to a double wedge of ±15° about this angle, atan2(ky, kx).

    Returns
    -------
    FrcResult

    Notes
    -----
    Cross and auto power are smoothed along frequency (σ = 2.5 % of Nyquist, a physical width, so
    that the answer does not depend on the number of pixels) before they are divided.
    """
    a, b = checked_plane(first, "first"), checked_plane(second, "second")
    if a.shape != b.shape:
        raise InputError("The two images differ in size.", expected=str(a.shape), got=str(b.shape))
    shape = (a.shape[0], a.shape[1])
    window = edge_taper(shape, _TAPER)
    fa, fb = spectrum(a, window), spectrum(b, window)
    rings = make_rings(shape, direction_rad=direction_rad)
    cross, power_a, power_b = (
        rings.total(v) for v in ((fa * np.conj(fb)).real, np.abs(fa) ** 2, np.abs(fb) ** 2)
    )
    frequency = rings.frequency_per_px / pixel_um
    return correlation_curve(frequency, cross, power_a, power_b, rings.samples, threshold, "FRC")


def correlation_curve(
    frequency_per_um: np.ndarray,
    cross: np.ndarray,
    power_a: np.ndarray,
    power_b: np.ndarray,
    samples: np.ndarray,
    threshold: Threshold,
    name: str,
) -> FrcResult:
    """Curve and crossing from the sums of cross and auto power over rings or shells, all (n,).

    Nothing correlates where there are no samples.
    """
    sigma = max(0.75, _SMOOTHING * cross.size)
    cross, power_a, power_b = (
        gaussian_filter1d(v, sigma, mode="nearest") for v in (cross, power_a, power_b)
    )
    norm = np.where(samples > 0, np.sqrt(power_a * power_b), 0.0)
    correlation = np.where(norm > 0, cross / np.where(norm > 0, norm, 1.0), 0.0)
    limit = _threshold_curve(threshold, samples)
    crossing = _first_crossing(frequency_per_um, correlation - limit)
    label = threshold if isinstance(threshold, str) else f"{threshold:g}"
    if crossing is None:
        note = f"{name} stays above the {label} threshold up to the Nyquist frequency."
        return FrcResult(frequency_per_um, correlation, limit, None, None, note)
    note = f"{name} {label}: {1e3 / crossing:.0f} nm."
    return FrcResult(frequency_per_um, correlation, limit, crossing, 1.0 / crossing, note)


def _threshold_curve(threshold: Threshold, samples: np.ndarray) -> np.ndarray:
    if threshold == "1/7":
        return np.full(samples.shape, 1.0 / 7.0)
    if threshold == "half-bit":
        root = np.sqrt(np.maximum(samples / 2.0, 1.0))  # Friedel pairs carry one value
        return np.asarray((0.2071 + 1.9102 / root) / (1.2071 + 0.9102 / root))
    if isinstance(threshold, str) or not 0.0 < float(threshold) < 1.0:
        raise UsageError(
            "Unknown FRC threshold.",
            expected="1/7, half-bit or a number in (0, 1)",
            got=str(threshold),
        )
    return np.full(samples.shape, float(threshold))


def _first_crossing(frequency: np.ndarray, excess: np.ndarray) -> float | None:
    """First frequency where `excess` falls to zero and stays there for two rings, interpolated."""
    below = excess <= 0
    stays = below[:-1] & below[1:]
    found = np.flatnonzero(stays[_FIRST_RINGS:])
    if found.size == 0:
        return None
    i = int(found[0]) + _FIRST_RINGS
    if not excess[i - 1] > 0:
        return float(frequency[i])
    fraction = excess[i - 1] / (excess[i - 1] - excess[i])
    return float(frequency[i - 1] + fraction * (frequency[i] - frequency[i - 1]))

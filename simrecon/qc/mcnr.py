"""Modulation contrast to noise ratio of raw data, on the scale that SIMcheck users know.

Ball et al., Sci. Rep. 5, 15915 (2015): below 4 inadequate, 4-8 low to moderate, 8-12 good, above
12 very good. Written from the description of the method.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from simrecon.errors import InputError

Grade = Literal["inadequate", "low", "good", "very good"]


@dataclass(frozen=True)
class Mcnr:
    """Contrast of the modulation in units of the noise.

    Attributes
    ----------
    value : float
        Mean of the map over the features.
    grade : {"inadequate", "low", "good", "very good"}
    per_direction : tuple of float
        The same per pattern direction.
    map : ndarray, (Y, X), float32
        Mean over directions.
    feature_fraction : float
        Part of the field that counts as features (Otsu's threshold of the mean image).
    noise : {"measured", "predicted"}
        From the highest phase frequency that carries no signal, or (three phases have none)
        from the photon statistics.
    """

    value: float
    grade: Grade
    per_direction: tuple[float, ...]
    map: np.ndarray
    feature_fraction: float
    noise: Literal["measured", "predicted"]


def mcnr(frames_e: np.ndarray, *, orders: int = 1, read_noise_e: float = 0.0) -> Mcnr:
    """MCNR of one 2-D acquisition.

    Parameters
    ----------
    frames_e : ndarray, (A, P, Y, X)
        Photo-electrons; the predicted noise needs the true camera gain.
    orders
        Pattern orders that carry signal (1 for two beams, 2 for three beams).
    read_noise_e
        Standard deviation of the read noise, electrons.

    Notes
    -----
    Per direction: frames scaled to equal means, Anscombe transform 2·sqrt(x + 3/8 + read²) (noise
    σ = 1 whatever the brightness), DFT over the phases, MCNR = sqrt(Σ_m |k_m|²)/σ_k with σ_k the
    standard deviation of one noise component over the field. Pure noise gives about 1.25, not 0.
    """
    frames = np.asarray(frames_e, dtype=np.float64)
    if frames.ndim != 4 or frames.shape[1] < 2 * orders + 1:
        raise InputError(
            "MCNR needs raw frames.",
            expected=f"(A, P, Y, X) with at least {2 * orders + 1} phases",
            got=f"shape {frames.shape}",
        )
    means = frames.mean(axis=(2, 3), keepdims=True)
    if not np.all(np.isfinite(means)) or np.any(means <= 0):
        raise InputError("A raw frame has no light or holds NaN.", where="frames")
    frames = frames * (means.mean(axis=1, keepdims=True) / means)
    stable = 2.0 * np.sqrt(np.maximum(frames + 0.375 + read_noise_e**2, 0.0))
    spectra = np.fft.fft(stable, axis=1)
    phases = frames.shape[1]
    signal = np.sqrt(np.sum(np.abs(spectra[:, 1 : orders + 1]) ** 2, axis=1))
    measured = phases // 2 > orders
    if measured:
        noise = spectra[:, phases // 2]
        parts = [noise.real] if phases % 2 == 0 else [noise.real, noise.imag]
        # the Nyquist component of an even DFT is real and has twice the variance of one part
        scale = np.sqrt(0.5) if phases % 2 == 0 else 1.0
        sigma = scale * np.std(np.stack(parts, axis=1), axis=(1, 2, 3))
        sigma = np.maximum(sigma, np.finfo(np.float64).tiny)
    else:
        sigma = np.full(frames.shape[0], np.sqrt(phases / 2.0))
    maps = signal / sigma[:, None, None]
    features = _features(frames.mean(axis=(0, 1)))
    per_direction = tuple(float(m[features].mean()) for m in maps)
    value = float(np.mean(per_direction))
    return Mcnr(
        value=value,
        grade=grade(value),
        per_direction=per_direction,
        map=maps.mean(axis=0).astype(np.float32),
        feature_fraction=float(features.mean()),
        noise="measured" if measured else "predicted",
    )


def grade(value: float) -> Grade:
    """SIMcheck's words for an MCNR value."""
    if value < 4.0:
        return "inadequate"
    if value < 8.0:
        return "low"
    return "good" if value <= 12.0 else "very good"


def _features(image: np.ndarray) -> np.ndarray:
    """Pixels above Otsu's threshold (largest variance between the two classes), never none."""
    counts, edges = np.histogram(image, bins=256)
    centre = 0.5 * (edges[:-1] + edges[1:])
    below = np.cumsum(counts)[:-1]
    above = counts.sum() - below
    weighted = np.cumsum(counts * centre)
    mean_below = weighted[:-1] / np.maximum(below, 1)
    mean_above = (weighted[-1] - weighted[:-1]) / np.maximum(above, 1)
    split = int(np.argmax(below * above * (mean_below - mean_above) ** 2))
    mask = image > edges[split + 1]
    return np.asarray(mask if mask.any() else np.ones_like(mask))

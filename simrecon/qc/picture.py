"""Numbers that describe one reconstructed picture, for ``qc.json``."""

from __future__ import annotations

from typing import Any

import numpy as np

from simrecon.model.pattern import PatternFit
from simrecon.qc.decorrelation import decorrelation_resolution
from simrecon.qc.gates import flux_numbers
from simrecon.qc.peaks import residual_peaks


def picture_numbers(
    image: np.ndarray, widefield: np.ndarray, pixel_um: float, pattern: PatternFit | None
) -> dict[str, Any]:
    """Flux, resolution and residual pattern of a picture.

    Parameters
    ----------
    image : ndarray, shape (qY, qX)
    widefield : ndarray, shape (Y, X)
        Mean of the same raw frames.
    pixel_um : float
        Raw pixel pitch.
    pattern : PatternFit or None
        None for the widefield fallback: nothing can be left of a pattern that was not used.

    Returns
    -------
    dict
        JSON-ready; resolutions in µm are "indicative" (decorrelation analysis).
    """
    zoom = image.shape[0] // widefield.shape[0]
    numbers: dict[str, Any] = {
        **flux_numbers(image, widefield),
        "mean_e": float(widefield.mean(dtype=np.float64)),
        "peak_e": float(np.percentile(widefield, 99.9)),
        "resolution_um": _resolution(image, widefield, pixel_um, zoom),
    }
    if pattern is not None and np.ptp(image) > 0:
        numbers["residual_peaks"] = [
            {
                "direction": peak.direction,
                "order": peak.order,
                "height_sigmas": round(peak.height_sigmas, 3),
                "ratio": round(peak.ratio, 3),
                "suspicious": bool(peak.suspicious),
            }
            for peak in residual_peaks(image, pixel_um / zoom, pattern)
        ]
    return numbers


def _resolution(
    image: np.ndarray, widefield: np.ndarray, pixel_um: float, zoom: int
) -> dict[str, float | None]:
    """Decorrelation resolution of widefield and picture, and their ratio (> 1 is better)."""
    if np.ptp(widefield) == 0 or np.ptp(image) == 0:  # blank frames: nothing to resolve
        return {"widefield": None, "picture": None, "gain": None}
    wide = decorrelation_resolution(widefield, pixel_um).resolution_um
    fine = decorrelation_resolution(image, pixel_um / zoom).resolution_um
    gain = None if wide is None or fine is None else wide / fine
    return {"widefield": wide, "picture": fine, "gain": gain}

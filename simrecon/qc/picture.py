"""Numbers that describe one reconstructed picture, for ``qc.json``."""

from __future__ import annotations

from typing import Any

import numpy as np

from simrecon.model.psf import DetectionOTF
from simrecon.qc.gates import flux_numbers
from simrecon.recon.operator import Reconstructor


def picture_numbers(
    image: np.ndarray,
    widefield: np.ndarray,
    pixel_um: float,
    otf: DetectionOTF,
    operator: Reconstructor | None,
) -> dict[str, Any]:
    """Flux, resolution and residual pattern of a picture.

    Parameters
    ----------
    image : ndarray, shape (qY, qX)
    widefield : ndarray, shape (Y, X)
        Mean of the same raw frames.
    pixel_um : float
        Raw pixel pitch.
    otf : DetectionOTF
    operator : Reconstructor or None
        None for the widefield fallback.
    """
    numbers: dict[str, Any] = {**flux_numbers(image, widefield)}
    numbers["mean_e"] = float(widefield.mean(dtype=np.float64))
    numbers["peak_e"] = float(np.percentile(widefield, 99.9))
    numbers["detection_cutoff_per_um"] = float(otf.cutoff_per_um)
    numbers["zoom"] = image.shape[0] // widefield.shape[0]
    numbers["pixel_um"] = pixel_um / numbers["zoom"]
    return numbers

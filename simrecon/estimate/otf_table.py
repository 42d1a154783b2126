"""Fast evaluation of a detection OTF at scattered frequencies."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import map_coordinates

from simrecon.estimate.gains import OtfFunction
from simrecon.model.psf import DetectionOTF, RadialOTF
from simrecon.physics.otf import evaluate_otf

_TABLE_HALF = 96


def otf_function(otf: DetectionOTF) -> OtfFunction:
    """``H(ky, kx)`` of equal-shaped arrays in cycles/µm.

    A radial table is evaluated as it is. A measured PSF is transformed once onto a fine open grid
    of (2·96 + 1)² frequencies and interpolated with cubic splines.
    """
    if isinstance(otf, RadialOTF):
        return lambda ky, kx: evaluate_otf(otf, ky, kx)
    reach = otf.cutoff_per_um * 1.02
    axis = np.linspace(-reach, reach, 2 * _TABLE_HALF + 1)
    table = evaluate_otf(otf, axis[:, None], axis[None, :])
    step = axis[1] - axis[0]

    def interpolated(ky: np.ndarray, kx: np.ndarray) -> np.ndarray:
        position = np.stack([np.ravel(ky), np.ravel(kx)]) / step + _TABLE_HALF
        real = map_coordinates(table.real, position, order=3, cval=0.0)
        imaginary = map_coordinates(table.imag, position, order=3, cval=0.0)
        inside = np.hypot(ky, kx) < otf.cutoff_per_um
        value = (real + 1j * imaginary).reshape(np.shape(ky))
        return np.where(inside, value, 0.0)

    return interpolated

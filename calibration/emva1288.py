"""Fixed pattern by EMVA Standard 1288, Release 4.0 (Linear): DSNU and PRNU.

Spatial variances of a mean image, from which the noise left in it (temporal variance / frames) is
subtracted; split into columns, rows and pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from calibration.moments import Moments


@dataclass(frozen=True)
class SpatialVariance:
    """Spatial variance of a mean image, ADU²; may be slightly negative where there is none.

    Attributes
    ----------
    total, column, row, pixel : float
    mean : float
        Mean of the image, ADU.
    """

    total: float
    column: float
    row: float
    pixel: float
    mean: float


def spatial_variance(stack: Moments) -> SpatialVariance:
    """Total spatial variance and its parts."""
    image = stack.mean
    rows, columns = image.shape
    noise = float(stack.variance.mean()) / stack.count
    mean = float(image.mean())
    total = float(image.var(ddof=1)) - noise
    of_columns = float(np.mean((image.mean(axis=0) - mean) ** 2)) - noise / rows
    of_rows = float(np.mean((image.mean(axis=1) - mean) ** 2)) - noise / columns
    size = rows * columns
    rest = size - rows - columns
    column = ((size - rows) * of_columns - columns * (total - of_rows)) / rest
    row = ((size - columns) * of_rows - rows * (total - of_columns)) / rest
    pixel = size / rest * (total - of_columns - of_rows)
    return SpatialVariance(total, column, row, pixel, mean)


def _root(value: float) -> float:
    return float(np.sqrt(max(value, 0.0)))


def fixed_pattern(dark: Moments, flat: Moments, gain: float) -> dict[str, float]:
    """DSNU (e) and PRNU (%) in total and by columns, rows and pixels.

    PRNU by the standard needs even light; ``prnu_detrended_percent`` leaves out a quadratic
    surface, which takes vignetting away and keeps what differs from pixel to pixel.
    """
    without, lit = spatial_variance(dark), spatial_variance(flat)
    light = lit.mean - without.mean
    found: dict[str, float] = {}
    for part, name in (("total", ""), ("column", "_column"), ("row", "_row"), ("pixel", "_pixel")):
        d, f = getattr(without, part), getattr(lit, part)
        found[f"dsnu{name}_e"] = _root(d) / gain
        found[f"prnu{name}_percent"] = 100.0 * _root(f - d) / light
    signal = flat.mean - dark.mean
    noise = float((flat.variance / flat.count + dark.variance / dark.count).mean())
    rest = signal - quadratic_surface(signal)
    found["prnu_detrended_percent"] = 100.0 * _root(float(rest.var()) - noise) / light
    return found


def quadratic_surface(image: np.ndarray) -> np.ndarray:
    """Least-squares polynomial of second degree in y and x, shape (Y, X)."""
    y, x = (np.linspace(-1.0, 1.0, n) for n in image.shape)
    yy, xx = np.meshgrid(y, x, indexing="ij")
    terms = np.stack([np.ones_like(yy), yy, xx, yy * xx, yy**2, xx**2]).reshape(6, -1)
    weights = np.linalg.solve(terms @ terms.T, terms @ image.reshape(-1))
    return np.asarray(weights @ terms).reshape(image.shape)


def line_noise_e(stack: Moments, gain: float) -> dict[str, float]:
    """Temporal noise common to rows and to columns, e: what exceeds the pixels' own noise.

    The means of a row, relative to the frame's mean, fluctuate by the pixel noise / X when
    the pixels are independent; what is above is read-out noise of whole rows.
    """
    pixel = float(stack.variance.mean())
    rows, columns = stack.mean.shape
    found = {}
    for name, scatter, across, along in (
        ("row", stack.row_scatter, columns, rows),
        ("column", stack.column_scatter, rows, columns),
    ):
        measured = float(scatter.mean()) / (stack.count - 1)
        expected = pixel / across * (1.0 - 1.0 / along)
        error = expected * np.sqrt(2.0 / (along * (stack.count - 1)))
        found[f"{name}_noise_e"] = _root(measured - expected) / gain
        found[f"{name}_noise_detectable_e"] = _root(2.0 * error) / gain
    return found

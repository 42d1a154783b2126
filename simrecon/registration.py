"""Bring the picture of one channel onto another's grid, with one interpolation.

The picture is sampled by B-splines of order five at the places where the pixels of the target lie
in it. At the sampling of a reconstruction (two pixels per raw pixel) that is close to sampling the
band-limited picture itself. Its noise is band-limited too, so the noise of a sample is the noise of
the picture at that place: the variance map is sampled likewise, linearly. Values keep their
meaning, photo-electrons per raw pixel area of the target, so that light is kept.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import affine_transform

from simrecon.model.affine import Affine2D
from simrecon.model.grid import Grid

ORDER = 5


def register(picture: np.ndarray, grid: Grid, to_target: Affine2D) -> np.ndarray:
    """A picture as the target channel would show it.

    Parameters
    ----------
    picture : ndarray, shape (…, Y, X)
    grid : Grid
        Of the picture, and of the result.
    to_target : Affine2D
        Maps points of the picture to the target channel.

    Returns
    -------
    ndarray, shape of `picture`, float32
        NaN where the picture does not reach.
    """
    return _sampled(picture, grid, to_target, ORDER, 1)


def register_variance(variance: np.ndarray, grid: Grid, to_target: Affine2D) -> np.ndarray:
    """The variance map of :func:`register`'s result; arguments and result as there."""
    return _sampled(variance, grid, to_target, 1, 2)


def covered(grid: Grid, to_target: Affine2D) -> float:
    """Share of the target's field that the picture reaches."""
    rows, columns = _places(grid, to_target.inverse())
    return float(np.mean(_inside(rows, grid.shape[0]) & _inside(columns, grid.shape[1])))


def _sampled(
    picture: np.ndarray, grid: Grid, to_target: Affine2D, order: int, power: int
) -> np.ndarray:
    back = to_target.inverse()
    matrix, first = np.array(back.matrix), np.full(2, grid.offset_um)
    offset = (back(first) - grid.offset_um) / grid.pixel_um
    rows, columns = _places(grid, back)
    outside = ~(_inside(rows, grid.shape[0]) & _inside(columns, grid.shape[1]))
    scale = abs(back.determinant) ** power
    planes = np.asarray(picture, np.float32).reshape(-1, *grid.shape)
    out = np.empty_like(planes)
    for plane, target in zip(planes, out, strict=True):
        moved = affine_transform(plane.astype(np.float64), matrix, offset, order=order,
                                 mode="mirror")  # fmt: skip
        target[:] = scale * moved
        target[outside] = np.nan
    return out.reshape(picture.shape)


def _places(grid: Grid, back: Affine2D) -> tuple[np.ndarray, np.ndarray]:
    """Row and column in the picture of every pixel of the target, (Y, X) each."""
    y, x = grid.positions_um()
    (a, b), (c, d) = back.matrix
    rows = (a * y + b * x + back.shift_um[0] - grid.offset_um) / grid.pixel_um
    columns = (c * y + d * x + back.shift_um[1] - grid.offset_um) / grid.pixel_um
    return rows, columns


def _inside(places: np.ndarray, count: int) -> np.ndarray:
    """Within the outer pixels' outer edges."""
    return np.asarray((places >= -0.5) & (places <= count - 0.5))

"""Objects that look like cells: drawn anti-aliased at sub-pixel positions on a fine grid.

Every phantom is a density with values around 0…1 (the simulator scales it), made of points
splatted bilinearly and smoothed to the width of the labelled structure, so that nothing depends
on where a structure falls between the pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import numpy as np
from scipy.ndimage import gaussian_filter

from simrecon.errors import UsageError
from simrecon.model.grid import Grid

PhantomKind = Literal["filaments", "rings", "blobs", "beads", "mixed", "lines", "constant", "slide"]

LINE_DISTANCES_UM = (0.06, 0.08, 0.1, 0.12, 0.14, 0.16, 0.18, 0.2, 0.25, 0.3)
"""Centre distances of the line pairs of the ``lines`` phantom, left to right, µm."""

LABEL_SIGMA_UM = 0.014
"""Half-width (σ) of a labelled filament or membrane, µm."""


def make_phantom(kind: PhantomKind, grid: Grid, rng: np.random.Generator) -> np.ndarray:
    """Draw a phantom.

    Parameters
    ----------
    kind
        ``filaments``: worm-like microtubules with crossings; ``rings``: 60-300 nm radius;
        ``blobs``: 60-400 nm wide, very different brightness; ``beads``: 100 nm, sparse;
        ``mixed``: all of these; ``lines``: pairs at `LINE_DISTANCES_UM`; ``constant``: 1;
        ``slide``: a fluorescent sheet, uneven by some per cent, with a grain of 3 %.
    grid
        The fine grid to draw on; structures run over its edges.
    rng
        The same generator state gives the same object.

    Returns
    -------
    ndarray, grid.shape, float32
        Non-negative density.
    """
    if kind not in _DRAW:
        raise UsageError(
            "Unknown phantom.", expected=", ".join(get_args(PhantomKind)), got=str(kind)
        )
    return _DRAW[kind](grid, rng).astype(np.float32)


def _splat(
    grid: Grid, y_um: np.ndarray, x_um: np.ndarray, weight: np.ndarray, sigma_um: float
) -> np.ndarray:
    """Density of weighted points (weight per µm²), smoothed by a Gaussian of `sigma_um`."""
    fy = (np.ravel(y_um) - grid.offset_um) / grid.pixel_um
    fx = (np.ravel(x_um) - grid.offset_um) / grid.pixel_um
    w = np.broadcast_to(weight, np.shape(y_um)).ravel() / grid.pixel_um**2
    rows, columns = grid.shape
    keep = (fy > 0) & (fy < rows - 1) & (fx > 0) & (fx < columns - 1)
    fy, fx, w = fy[keep], fx[keep], w[keep]
    iy, ix = np.floor(fy).astype(np.intp), np.floor(fx).astype(np.intp)
    ty, tx = fy - iy, fx - ix
    image = np.zeros(rows * columns)
    for dy, wy in ((0, 1 - ty), (1, ty)):
        for dx, wx in ((0, 1 - tx), (1, tx)):
            index = (iy + dy) * columns + ix + dx
            image += np.bincount(index, weights=w * wy * wx, minlength=image.size)
    density = image.reshape(grid.shape).astype(np.float32)
    return np.asarray(gaussian_filter(density, sigma_um / grid.pixel_um, mode="constant"))


def _places(grid: Grid, rng: np.random.Generator, per_um2: float) -> tuple[np.ndarray, np.ndarray]:
    """Uniformly random positions over the grid, at least one, µm."""
    height, width = grid.extent_um
    count = max(1, round(per_um2 * height * width))
    spots = rng.random((2, count))
    edge = grid.offset_um - 0.5 * grid.pixel_um
    return edge + spots[0] * height, edge + spots[1] * width


def _filaments(grid: Grid, rng: np.random.Generator, per_um2: float = 0.1) -> np.ndarray:
    """Worm-like chains (persistence 12 µm), patchy label, a third in pairs 100-220 nm apart."""
    y0, x0 = _places(grid, rng, per_um2)
    count = y0.size
    step = 0.5 * grid.pixel_um
    steps = int(np.ceil(0.75 * sum(grid.extent_um) / step))
    heading = rng.uniform(0.0, 2.0 * np.pi, count)
    coarse = max(1, round(0.1 / step))  # draw the bend every 0.1 µm, follow it linearly
    bends = rng.normal(0.0, np.sqrt(coarse * step / 12.0), (count, steps // coarse + 2))
    bends[:, 0] = 0.0
    nodes = np.cumsum(bends, axis=1)
    position = np.arange(steps) / coarse
    low = position.astype(np.intp)
    angle = nodes[:, low] + (nodes[:, low + 1] - nodes[:, low]) * (position - low)
    angle += heading[:, None]
    back = steps / 3.0
    y = np.cumsum(np.sin(angle), axis=1) - back * np.sin(heading)[:, None]
    x = np.cumsum(np.cos(angle), axis=1) - back * np.cos(heading)[:, None]
    y, x = y0[:, None] + step * y, x0[:, None] + step * x
    apart = rng.uniform(0.1, 0.22, (count, 1))
    has_partner = rng.random((count, 1)) < 0.35
    brightness = rng.gamma(12.0, 1.0 / 12.0, (count, 1))
    patches = rng.gamma(9.0, 1.0 / 9.0, (count, steps // coarse + 2))
    label = patches[:, low] + (patches[:, low + 1] - patches[:, low]) * (position - low)
    weight = brightness * label * step * 0.035
    single = _splat(grid, y, x, weight, LABEL_SIGMA_UM)
    y, x = y + apart * np.cos(angle), x - apart * np.sin(angle)
    partner = _splat(grid, y, x, weight[:, ::-1] * has_partner, LABEL_SIGMA_UM)
    return np.asarray(single + partner)


def _rings(grid: Grid, rng: np.random.Generator, per_um2: float = 0.7) -> np.ndarray:
    """Vesicle outlines of 60-300 nm radius, evenly labelled but for ±20 % between rings."""
    y0, x0 = _places(grid, rng, per_um2)
    radius = rng.uniform(0.06, 0.3, y0.size)
    brightness = rng.gamma(25.0, 0.04, y0.size)
    stretch = rng.uniform(0.85, 1.0, y0.size)
    turn = rng.uniform(0.0, np.pi, y0.size)
    points = int(np.ceil(2.0 * np.pi * 0.3 / (0.5 * grid.pixel_um)))
    t = np.linspace(0.0, 2.0 * np.pi, points, endpoint=False)[None, :]
    a, b = (radius * np.cos(t).T).T, (radius * stretch * np.sin(t).T).T
    c, s = np.cos(turn)[:, None], np.sin(turn)[:, None]
    weight = brightness * radius * 2.0 * np.pi / points * 0.035
    weight = np.broadcast_to(weight[:, None], a.shape)
    return _splat(grid, y0[:, None] + s * a + c * b, x0[:, None] + c * a - s * b, weight, 0.016)


def _blobs(grid: Grid, rng: np.random.Generator, per_um2: float = 0.6) -> np.ndarray:
    """Gaussian bodies of five widths, log-normal brightness, over a faint cloudy ground."""
    density = np.zeros(grid.shape, dtype=np.float32)
    for fwhm_um in (0.06, 0.1, 0.16, 0.25, 0.4):
        y, x = _places(grid, rng, per_um2 / 5.0)
        sigma = fwhm_um / 2.3548
        peak = rng.lognormal(-0.7, 0.6, y.size)
        density += _splat(grid, y, x, peak * 2.0 * np.pi * sigma**2, sigma)
    y, x = _places(grid, rng, 3.0)
    return np.asarray(density + _splat(grid, y, x, rng.gamma(2.0, 0.006, y.size), 0.3))


def _beads(grid: Grid, rng: np.random.Generator, per_um2: float = 0.15) -> np.ndarray:
    """Fluorescent spheres of 100 nm diameter (projected), brightness ±10 %."""
    y0, x0 = _places(grid, rng, per_um2)
    steps = np.arange(-0.05, 0.0501, 0.005)
    dy, dx = (d.ravel() for d in np.meshgrid(steps, steps, indexing="ij"))
    chord = np.sqrt(np.maximum(0.05**2 - dy**2 - dx**2, 0.0))
    weight = rng.normal(1.0, 0.1, (y0.size, 1)).clip(0.5) * chord * 0.005**2 / 0.05
    return _splat(grid, y0[:, None] + dy, x0[:, None] + dx, weight, 0.006)


def _mixed(grid: Grid, rng: np.random.Generator) -> np.ndarray:
    return np.asarray(
        _filaments(grid, rng, 0.05)
        + _rings(grid, rng, 0.12)
        + 0.7 * _blobs(grid, rng, 0.15)
        + _beads(grid, rng, 0.03)
    )


def _lines(grid: Grid, rng: np.random.Generator) -> np.ndarray:
    """Vertical line pairs at growing distances; the rows below repeat them turned a little."""
    height, width = grid.extent_um
    edge = grid.offset_um - 0.5 * grid.pixel_um
    rows = max(1, int(height / 4.0))
    slot = width / (len(LINE_DISTANCES_UM) + 1)
    length = 0.7 * height / rows
    t = np.arange(-0.5 * length, 0.5 * length, 0.5 * grid.pixel_um)
    ys, xs = [], []
    for row in range(rows):
        angle = rng.uniform(-0.3, 0.3)
        for i, distance in enumerate(LINE_DISTANCES_UM):
            yc = edge + (row + 0.5) * height / rows
            xc = edge + (i + 1) * slot
            for side in (-0.5, 0.5):
                ys.append(yc + t * np.cos(angle) - side * distance * np.sin(angle))
                xs.append(xc + t * np.sin(angle) + side * distance * np.cos(angle))
    weight = np.full(1, 0.5 * grid.pixel_um * 0.03)
    return _splat(grid, np.stack(ys), np.stack(xs), weight, 0.01)


def _constant(grid: Grid, _rng: np.random.Generator) -> np.ndarray:
    return np.ones(grid.shape)


def _slide(grid: Grid, rng: np.random.Generator) -> np.ndarray:
    """A layer of dye: waves of 15 µm and 5 % rms in its thickness, grain of 3 % rms over 0.1 µm."""
    y, x = grid.positions_um()
    grain = gaussian_filter(rng.standard_normal(grid.shape), 0.1 / grid.pixel_um)
    sheet = 1.0 + grain * (0.03 / max(float(grain.std()), 1e-12))
    for heading, phase in rng.uniform(0.0, 2.0 * np.pi, (3, 2)):
        along = 2.0 * np.pi / 15.0 * (np.sin(heading) * y + np.cos(heading) * x)
        sheet += 0.05 * np.sqrt(2.0 / 3.0) * np.cos(along + phase)
    return np.asarray(np.maximum(sheet, 0.0))


_DRAW: dict[str, Callable[[Grid, np.random.Generator], np.ndarray]] = {
    "filaments": _filaments,
    "rings": _rings,
    "blobs": _blobs,
    "beads": _beads,
    "mixed": _mixed,
    "lines": _lines,
    "constant": _constant,
    "slide": _slide,
}

"""The overview picture of a volume: one plane and one section of every picture, and the trust."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter, uniform_filter

from simrecon.io import atomic_path
from simrecon.qc.figures import new_figure
from zsdeconv.enhancement import Enhanced
from zsdeconv.figures import common_limits, judged, scale_bar_um

_INK, _PAPER = "#f2f2f2", "#111111"


def volume_overview(enhanced: Enhanced, path: Path, *, title: str = "") -> None:
    """Write the overview PNG, atomically.

    Above, the plane with most structure; below, the section at constant y through it (z downwards,
    to scale). The pictures share one scale in photo-electrons; the last column is the χ² map.

    Raises
    ------
    UsageError
        When matplotlib is not installed.
    """
    assert enhanced.dz_um is not None
    pictures = _pictures(enhanced)
    z, y = _busiest(enhanced.deconvolved)
    low, high = common_limits(*(v[z] for v in pictures.values()))
    style: dict[str, Any] = {"cmap": "inferno", "vmin": low, "vmax": high}
    trust = _on_grid(enhanced, uniform_filter(enhanced.consistency, (3, 5, 5)))
    columns = [(name, v, style) for name, v in pictures.items()]
    mean = enhanced.qc["enhancement"]["chi2"]
    columns.append((f"trust: mean χ² = {mean:.2f}", trust,
                    {"cmap": "RdBu_r", "vmin": 0.0, "vmax": 2.0}))  # fmt: skip
    planes, rows, width = enhanced.image.shape
    depth = enhanced.dz_um / enhanced.pixel_um
    side = 3.9
    tall = side * (rows + planes * depth) / width + 1.7
    figure = new_figure(side * len(columns), tall, facecolor=_PAPER)
    grid = figure.subplots(2, len(columns), height_ratios=(rows, max(planes * depth, 0.1 * rows)))
    for column, (name, volume, look) in enumerate(columns):
        above, below = grid[:, column]
        shown = above.imshow(volume[z], interpolation="nearest", **look)
        below.imshow(volume[:, y], interpolation="nearest", aspect=depth, **look)
        above.axhline(y, color=_INK, lw=0.6, ls=":")
        below.axhline(z, color=_INK, lw=0.6, ls=":")
        above.set_title(name, color=_INK, fontsize=13)
        for ax in (above, below):
            ax.set_xticks([])
            ax.set_yticks([])
        bar = figure.colorbar(
            shown, ax=list(grid[:, column]), location="bottom", fraction=0.04, pad=0.02
        )
        label = "χ² (1 = noise only)" if column == len(columns) - 1 else "photo-electrons"
        bar.set_label(label, color=_INK, fontsize=11)
        bar.ax.tick_params(colors=_INK)
    length = scale_bar_um(width * enhanced.pixel_um)
    pixels = length / enhanced.pixel_um
    grid[0, 0].plot([0.05 * width, 0.05 * width + pixels], [0.95 * rows] * 2, color=_INK, lw=3)
    grid[0, 0].text(0.05 * width, 0.92 * rows, f"{length:g} µm", color=_INK, fontsize=12)
    if title:
        place = f"{title}: plane {z + 1} of {planes}, section at row {y + 1}"
        figure.suptitle(judged(place, enhanced), color=_INK, fontsize=13)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=100, format="png", facecolor=figure.get_facecolor())


def _pictures(enhanced: Enhanced) -> dict[str, np.ndarray]:
    """Title → volume, all on the pictures' grid; of SIM the widefield stands first."""
    pictures = {"stack": enhanced.image}
    if enhanced.reconstruction is not None:
        wide = _on_grid(enhanced, enhanced.reconstruction.widefield[0, 0])
        pictures = {"widefield (mean of the frames)": wide, "SIM (linear)": enhanced.image}
    return {
        **pictures,
        "denoised": enhanced.denoised,
        "enhanced (zero-shot)": enhanced.deconvolved,
    }


def _on_grid(enhanced: Enhanced, raw: np.ndarray) -> np.ndarray:
    """A volume of raw pixels on the pictures' grid."""
    zoom = round(enhanced.raw_pixel_um / enhanced.pixel_um)
    return np.kron(raw, np.ones((1, zoom, zoom), np.float32))


def _busiest(volume: np.ndarray) -> tuple[int, int]:
    """Plane and row that hold most structure (squared deviation from a broad mean), not an end."""
    detail = (volume - gaussian_filter(volume, (1.0, 6.0, 6.0))) ** 2
    places = []
    for axis, others in ((0, (1, 2)), (1, (0, 2))):
        found = detail.sum(axis=others)
        edge = volume.shape[axis] // 6
        places.append(edge + int(np.argmax(found[edge : len(found) - edge])))
    return places[0], places[1]

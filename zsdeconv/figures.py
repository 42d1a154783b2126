"""The overview picture: widefield | SIM | enhanced | trust, with scale bars and one zoom each."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from simrecon.errors import UsageError
from simrecon.io import atomic_path
from zsdeconv.enhancement import Enhanced

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BARS_UM = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0)
_ZOOM = 0.22
_INK = "#f2f2f2"


def scale_bar_um(extent_um: float) -> float:
    """A round length of about a fifth of `extent_um`."""
    return min(_BARS_UM, key=lambda bar: abs(bar - extent_um / 5.0))


def busiest_square(image: np.ndarray, side: int) -> tuple[int, int]:
    """First pixel of the square with the strongest gradients that keeps off the border."""
    from scipy.ndimage import gaussian_filter, gaussian_gradient_magnitude

    strength = gaussian_filter(gaussian_gradient_magnitude(image.astype(np.float64), 2.0), side / 3)
    half, edge = side // 2, side // 2 + 4
    inner = strength[edge:-edge, edge:-edge]
    y, x = np.unravel_index(int(np.argmax(inner)), inner.shape)
    return int(y) + edge - half, int(x) + edge - half


def _bar(axes: Axes, extent_um: float, pixel_um: float, size: int) -> None:
    length = scale_bar_um(extent_um)
    pixels = length / pixel_um
    x, y = size * 0.95 - pixels, size * 0.955
    axes.plot([x, x + pixels], [y, y], color=_INK, lw=2.5, solid_capstyle="butt")
    axes.text(x + pixels / 2, y - size * 0.02, f"{length:g} µm", color=_INK, ha="center",
              va="bottom", fontsize=8)  # fmt: skip


def _limits(image: np.ndarray) -> tuple[float, float]:
    low = float(np.percentile(image, 2))
    return low, max(float(np.percentile(image, 99.7)), low + 1e-9)


def _panel(
    axes: Axes, image: np.ndarray, window: tuple[int, int, int], pixel_um: float, **style: Any
) -> Any:
    """Picture with a zoom of `window` = (y, x, side) in its upper right corner."""
    shown = axes.imshow(image, interpolation="nearest", **style)
    y, x, side = window
    inset = axes.inset_axes((0.56, 0.56, 0.43, 0.43))
    inset.imshow(image[y : y + side, x : x + side], interpolation="nearest", **style)
    inset.set_xticks([])
    inset.set_yticks([])
    for spine in inset.spines.values():
        spine.set_color(_INK)
    frame = ([x, x + side, x + side, x, x], [y, y, y + side, y + side, y])
    axes.plot(*frame, color=_INK, lw=0.8)
    axes.set_xlim(-0.5, image.shape[1] - 0.5)
    axes.set_ylim(image.shape[0] - 0.5, -0.5)
    _bar(axes, image.shape[1] * pixel_um, pixel_um, min(image.shape))
    axes.set_xticks([])
    axes.set_yticks([])
    return shown


def overview(enhanced: Enhanced, path: Path, *, title: str = "") -> None:
    """Write the overview PNG, atomically.

    Widefield and SIM share their grey limits; the enhanced picture, whose light is
    concentrated, has its own. The trust panel is the χ² map, smoothed over 5 raw pixels.

    Raises
    ------
    UsageError
        When matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UsageError(
            "The overview picture needs matplotlib.", hint="pip install 'simrecon[report]'"
        ) from error
    from scipy.ndimage import uniform_filter

    zoom = round(enhanced.raw_pixel_um / enhanced.pixel_um)
    block = np.ones((zoom, zoom), np.float32)
    wide = enhanced.image
    if enhanced.reconstruction is not None:
        wide = np.kron(enhanced.reconstruction.widefield[0, 0, 0], block)
    trust = np.kron(uniform_filter(enhanced.consistency, 5), block)
    side = max(16, int(_ZOOM * min(wide.shape)))
    window = (*busiest_square(enhanced.deconvolved, side), side)
    low, high = _limits(enhanced.image)
    low2, high2 = _limits(enhanced.deconvolved)
    figure = Figure(figsize=(16, 4.75), facecolor="#111111")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, 4)
    found = enhanced.qc["enhancement"]
    panels = (
        ("widefield (mean of the raw frames)", wide,
         {"cmap": "inferno", "vmin": low, "vmax": high}),
        ("SIM (linear reconstruction)", enhanced.image,
         {"cmap": "inferno", "vmin": low, "vmax": high}),
        ("enhanced (zero-shot)", enhanced.deconvolved,
         {"cmap": "inferno", "vmin": low2, "vmax": high2}),
        (f"trust: χ² of the raw frames, mean {found['chi2']:.2f}", trust,
         {"cmap": "RdBu_r", "vmin": 0.0, "vmax": 2.0}),
    )  # fmt: skip
    for ax, (name, image, style) in zip(axes, panels, strict=True):
        shown = _panel(ax, image, window, enhanced.pixel_um, **style)
        ax.set_title(name, color=_INK, fontsize=11)
    bar = figure.colorbar(shown, ax=axes[3], fraction=0.04, pad=0.02)
    bar.ax.tick_params(colors=_INK, labelsize=7)
    figure.subplots_adjust(left=0.005, right=0.975, top=0.86, bottom=0.02, wspace=0.03)
    if title:
        figure.suptitle(title, color=_INK, fontsize=12, y=0.98)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=110, format="png", facecolor=figure.get_facecolor())

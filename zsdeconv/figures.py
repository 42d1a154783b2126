"""The overview picture: widefield | SIM | enhanced | trust, with scale bars and one zoom each."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from simrecon.io import atomic_path
from simrecon.qc.figures import new_figure
from zsdeconv.enhancement import Enhanced

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

_BARS_UM = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0)
_ZOOM = 0.22
_INK, _PAPER = "#f2f2f2", "#111111"
_TITLE, _LABEL = 15, 13


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


def _bar(axes: Axes, shape: tuple[int, int], pixel_um: float, ink: str, left: bool) -> None:
    """Scale bar in a lower corner."""
    length = scale_bar_um(shape[1] * pixel_um)
    pixels = length / pixel_um
    edge = 0.05 * min(shape)
    x, y = edge if left else shape[1] - edge - pixels, shape[0] - edge
    axes.plot([x, x + pixels], [y, y], color=ink, lw=3, solid_capstyle="butt")
    axes.text(x + pixels / 2, y - 0.4 * edge, f"{length:g} µm", color=ink, ha="center",
              va="bottom", fontsize=_LABEL, fontweight="bold")  # fmt: skip


def common_limits(*images: np.ndarray) -> tuple[float, float]:
    """One grey scale for pictures in the same unit: none of them is dark, few pixels saturate."""
    low = min(float(np.percentile(image, 1)) for image in images)
    high = max(float(np.percentile(image, 99.7)) for image in images)
    return low, max(high, low + 1e-9)


def _zoom_inset(
    axes: Axes, image: np.ndarray, window: tuple[int, int, int], style: dict[str, Any]
) -> None:
    """Zoom of `window` = (y, x, side) in the upper right corner, and its outline."""
    y, x, side = window
    inset = axes.inset_axes((0.56, 0.56, 0.43, 0.43))
    inset.imshow(image[y : y + side, x : x + side], interpolation="nearest", **style)
    inset.set_xticks([])
    inset.set_yticks([])
    for spine in inset.spines.values():
        spine.set_color(_INK)
    axes.plot([x, x + side, x + side, x, x], [y, y, y + side, y + side, y], color=_INK, lw=1.0)


def _panel(axes: Axes, image: np.ndarray, style: dict[str, Any]) -> AxesImage:
    """A picture without ticks."""
    shown = axes.imshow(image, interpolation="nearest", **style)
    axes.set_xlim(-0.5, image.shape[1] - 0.5)
    axes.set_ylim(image.shape[0] - 0.5, -0.5)
    axes.set_xticks([])
    axes.set_yticks([])
    return shown


def _pictures(enhanced: Enhanced) -> dict[str, np.ndarray]:
    """Title → picture of the panels in photo-electrons, all on the pictures' grid."""
    pictures = {}
    if enhanced.reconstruction is not None:
        zoom = round(enhanced.raw_pixel_um / enhanced.pixel_um)
        wide = enhanced.reconstruction.widefield[0, 0, 0]
        pictures["widefield (mean of the raw frames)"] = np.kron(
            wide, np.ones((zoom, zoom), np.float32)
        )
    name = "SIM (linear)" if pictures else "image"
    pictures[name] = enhanced.image
    pictures["enhanced (zero-shot)"] = enhanced.deconvolved
    return pictures


def _trust(enhanced: Enhanced) -> np.ndarray:
    """χ² map, smoothed over 5 raw pixels, on the pictures' grid."""
    from scipy.ndimage import uniform_filter

    zoom = round(enhanced.raw_pixel_um / enhanced.pixel_um)
    return np.kron(uniform_filter(enhanced.consistency, 5), np.ones((zoom, zoom), np.float32))


def judged(title: str, enhanced: Enhanced) -> str:
    """A title with the verdict, unless it is ok: a figure travels without its report."""
    verdict = enhanced.verdicts.get("overall", "ok")
    return title if verdict == "ok" else f"{title}: verdict {verdict}, see qc.json".lstrip(": ")


def overview(enhanced: Enhanced, path: Path, *, title: str = "") -> None:
    """Write the overview PNG, atomically.

    The pictures share one scale in photo-electrons per camera pixel (per raw pixel's area), so
    that light that is concentrated also looks brighter. The trust panel is the χ² map.

    Raises
    ------
    UsageError
        When matplotlib is not installed.
    """
    pictures = _pictures(enhanced)
    side = max(16, int(_ZOOM * min(enhanced.image.shape)))
    window = (*busiest_square(enhanced.deconvolved, side), side)
    low, high = common_limits(*pictures.values())
    style: dict[str, Any] = {"cmap": "inferno", "vmin": low, "vmax": high}
    count = len(pictures) + 1
    aspect = enhanced.image.shape[0] / enhanced.image.shape[1]
    left = window[1] + side / 2 > enhanced.image.shape[1] / 2  # the bar keeps off the zoom
    figure = new_figure(4.7 * count, 4.7 * aspect + 1.5, facecolor=_PAPER)
    axes = list(figure.subplots(1, count))
    for ax, (name, image) in zip(axes, pictures.items(), strict=False):
        shown = _panel(ax, image, style)
        _zoom_inset(ax, image, window, style)
        _bar(ax, image.shape, enhanced.pixel_um, _INK, left)
        ax.set_title(name, color=_INK, fontsize=_TITLE)
    _colour_bar(figure, shown, axes[:-1], "photo-electrons per camera pixel", "max")
    trust = {"cmap": "RdBu_r", "vmin": 0.0, "vmax": 2.0}
    shown = _panel(axes[-1], _trust(enhanced), trust)
    _bar(axes[-1], enhanced.image.shape, enhanced.pixel_um, _PAPER, left)
    mean = enhanced.qc["enhancement"]["chi2"]
    axes[-1].set_title(f"trust: mean χ² = {mean:.2f}", color=_INK, fontsize=_TITLE)
    _colour_bar(figure, shown, axes[-1:], "χ² of the raw frames (1 = noise only)", "max")
    if title := judged(title, enhanced):
        figure.suptitle(title, color=_INK, fontsize=_TITLE)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=100, format="png", facecolor=figure.get_facecolor())


def _colour_bar(
    figure: Figure, shown: AxesImage, axes: list[Axes], label: str, extend: str
) -> None:
    bar = figure.colorbar(
        shown, ax=axes, location="bottom", fraction=0.05, pad=0.03, aspect=18 * len(axes),
        shrink=0.9, extend=extend,
    )  # fmt: skip
    bar.set_label(label, color=_INK, fontsize=_LABEL)
    bar.ax.tick_params(colors=_INK, labelsize=_LABEL)
    bar.outline.set_edgecolor(_INK)

"""Pictures of a bead measurement."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from calibration.psf.measure import PsfMeasurement
from simrecon.qc.figures import new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

_GAMMA = 0.5


def sections_figure(found: PsfMeasurement) -> Figure:
    """Mean, fit and residual, in the plane of focus and along the axis."""
    mean = found.aligned.mean
    names = [("mean bead", mean), ("corrected for the bead size", found.compensated)]
    if found.fit is not None:
        names = [names[0], ("fitted model", found.fit.model), names[1]]
    residual = None
    if found.fit is not None:
        residual = (mean - found.fit.model) / found.aligned.standard_error
    rows = 2 if mean.shape[0] > 1 else 1
    columns = len(names) + (residual is not None)
    figure = new_figure(2.6 * columns + 0.8, 2.7 * rows + 0.2)
    axes = np.atleast_2d(figure.subplots(rows, columns, squeeze=False))
    top = float(mean.max())
    for i, (name, stack) in enumerate(names):
        shown = np.clip(stack / top, 0, 1) ** _GAMMA
        _sections(axes[:, i], shown, found, name, "magma", (0.0, 1.0))
    if residual is not None:
        image = _sections(axes[:, -1], residual, found, "residual / its sd", "RdBu_r", (-5, 5))
        figure.colorbar(image, ax=list(axes[:, -1]), shrink=0.7)
    return figure


def _sections(
    axes: np.ndarray,
    stack: np.ndarray,
    found: PsfMeasurement,
    name: str,
    colours: str,
    limits: tuple[float, float],
) -> AxesImage:
    planes, rows, columns = stack.shape
    pixel = found.setup.pixel_um
    half_y, half_x = 0.5 * rows * pixel, 0.5 * columns * pixel
    options: dict[str, Any] = {
        "cmap": colours,
        "vmin": limits[0],
        "vmax": limits[1],
        "interpolation": "nearest",
    }
    extent = (-half_x, half_x, half_y, -half_y)
    image: AxesImage = axes[0].imshow(stack[planes // 2], extent=extent, **options)
    axes[0].set_title(name, fontsize=9)
    axes[0].set_xlabel("x / µm", fontsize=8)
    axes[0].set_ylabel("y / µm", fontsize=8)
    if planes > 1:
        half_z = 0.5 * planes * float(found.setup.dz_um or 1.0)
        axes[1].imshow(stack[:, rows // 2], extent=(-half_x, half_x, half_z, -half_z), **options)
        axes[1].set_xlabel("x / µm", fontsize=8)
        axes[1].set_ylabel("z / µm", fontsize=8)
    for axis in axes:
        axis.tick_params(labelsize=7)
    return image


def profiles_figure(found: PsfMeasurement) -> Figure:
    """Profiles along y, x and z through the mean, with its error and the fit."""
    mean, error = found.aligned.mean, found.aligned.standard_error
    top = float(mean.max())
    middle = tuple(n // 2 for n in mean.shape)
    axes_wanted = [1, 2] if mean.shape[0] == 1 else [1, 2, 0]
    figure = new_figure(3.2 * len(axes_wanted), 2.7)
    for axis, plot in zip(axes_wanted, figure.subplots(1, len(axes_wanted)), strict=True):
        line = tuple(slice(None) if a == axis else middle[a] for a in range(3))
        pitch = float(found.setup.dz_um or 1.0) if axis == 0 else found.setup.pixel_um
        place = (np.arange(mean.shape[axis]) - middle[axis]) * pitch
        plot.errorbar(place, mean[line] / top, error[line] / top, fmt="o", ms=3, lw=1,
                      color="#1f4e79", label="mean bead")  # fmt: skip
        if found.fit is not None:
            model = found.fit.model / top
            plot.plot(place, model[line], color="#c0392b", lw=1, label="fit")
        width, sd = found.widths.gaussian[axis], found.width_sd_um[axis]
        error_text = f" ± {1e3 * sd:.0f}" if np.isfinite(sd) else ""
        plot.set_title(f"{'zyx'[axis]}: FWHM {1e3 * width:.0f}{error_text} nm", fontsize=9)
        plot.set_xlabel(f"{'zyx'[axis]} / µm", fontsize=8)
        plot.tick_params(labelsize=7)
        plot.axhline(0, color="0.8", lw=0.8, zorder=0)
    plot.legend(fontsize=7, frameon=False)
    return figure


def aberrations_figure(found: PsfMeasurement) -> Figure:
    """Bars of the fitted Zernike coefficients with their errors."""
    assert found.fit is not None
    named = found.fit.named()
    figure = new_figure(6.4, 0.32 * len(named) + 1.0)
    plot = figure.subplots()
    place = np.arange(len(named))
    values = [v["rms_nm"] for v in named.values()]
    plot.barh(place, values, xerr=[v["sd_nm"] for v in named.values()], color="#5b8db8",
              ecolor="0.2", capsize=2)  # fmt: skip
    plot.set_yticks(place, list(named), fontsize=8)
    plot.invert_yaxis()
    plot.axvline(0, color="0.3", lw=0.8)
    plot.set_xlabel("rms wavefront / nm", fontsize=8)
    plot.tick_params(labelsize=7)
    return figure


def field_figure(found: PsfMeasurement, stack: np.ndarray) -> Figure:
    """Spots over the brightest projection of the first stack, and widths over the field."""
    figure = new_figure(9.6, 4.2)
    left, right = figure.subplots(1, 2)
    picture = np.asarray(stack, dtype=np.float32).max(axis=0)
    low, high = np.percentile(picture, [1, 99.8])
    shown = np.clip((picture - low) / max(high - low, 1e-9), 0, 1) ** _GAMMA
    left.imshow(shown, cmap="gray", interpolation="nearest")
    first = [b for b in found.beads if b.spot.stack == 0]
    for label, colour in (("used", "#2ecc71"), ("dim, halo", "0.5"), ("rejected", "#e74c3c")):
        places = [b.spot.position_px[1:] for b in first if _group(b.kind) == label]
        if places:
            y, x = np.array(places).T
            left.scatter(x, y, s=60, facecolors="none", edgecolors=colour, label=label)
    left.legend(fontsize=7, loc="lower left", bbox_to_anchor=(0.0, 1.06), ncols=3, frameon=False)
    left.set_title("spots (largest value over z)", fontsize=9)
    _width_map(right, found)
    right.set(xlim=left.get_xlim(), ylim=left.get_ylim())
    for axis in (left, right):
        axis.set_xlabel("x / px", fontsize=8)
        axis.set_ylabel("y / px", fontsize=8)
        axis.tick_params(labelsize=7)
    return figure


def _group(kind: str) -> str:
    if not kind:
        return "used"
    return "dim, halo" if kind in ("halo", "dim") else "rejected"


def _width_map(axis: Axes, found: PsfMeasurement) -> None:
    widths = found.bead_widths_um
    lateral = 1e3 * np.sqrt(widths[:, 1] * widths[:, 2])
    place = found.aligned.positions_px
    dots = axis.scatter(place[:, 2], place[:, 1], c=lateral, s=90, cmap="viridis")
    axis.figure.colorbar(dots, ax=axis, label="lateral FWHM / nm", shrink=0.8)
    axis.set_aspect("equal")
    trend = found.trends.get("fwhm_nm")
    text = "too few beads for a trend"
    if trend is not None:
        said = "significant" if trend.significant else "not significant"
        text = f"trend p = {trend.p_value:.2g}: {said}"
    axis.set_title(f"FWHM over the field ({text})", fontsize=9)

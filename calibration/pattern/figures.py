"""Pictures of a pattern measurement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from calibration.pattern.gates import trends
from calibration.pattern.series import Series
from simrecon.qc.figures import new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = ("#1f4e79", "#c0392b", "#3a7d44", "#8e5ea2", "#b7791f")


def series_figure(directions: Sequence[Series]) -> Figure:
    """Spacing, angle, modulation and phase steps of every used acquisition, against their means."""
    figure = new_figure(9.0, 5.4)
    axes = figure.subplots(2, 2).ravel()
    for number, one in enumerate(directions):
        at = np.array([i for i, e in enumerate(one.entries) if e.used])
        shift = 0.08 * (number - 0.5 * (len(directions) - 1))
        for axis, (name, unit, values, sd) in zip(axes, trends(one), strict=True):
            mean = 0.0 if name == "phase steps" else np.average(values, weights=1 / sd**2)
            if name == "modulation":
                mean = 0.0
            colour = COLOURS[number % len(COLOURS)]
            axis.errorbar(at + shift, values - mean, sd, fmt="o-", ms=3.5, lw=0.8, elinewidth=0.8,
                          color=colour, label=f"direction {number + 1}")  # fmt: skip
            what = name if name == "modulation" else f"{name} − mean"
            axis.set_ylabel(what + (f" / {unit}" if unit else ""), fontsize=8)
    for axis in axes:
        axis.tick_params(labelsize=7)
        axis.set_xlabel("acquisition", fontsize=8)
        axis.xaxis.get_major_locator().set_params(integer=True)
        if axis is not axes[2]:
            axis.axhline(0, color="0.8", lw=0.8, zorder=0)
    axes[0].legend(fontsize=7, frameon=False)
    return figure


def steps_figure(directions: Sequence[Series]) -> Figure:
    """Where the phases of each direction lie on the circle: acquisitions, mean, equal steps."""
    figure = new_figure(2.6 * len(directions) + 0.3, 2.9)
    axes = figure.subplots(1, len(directions), subplot_kw={"projection": "polar"}, squeeze=False)[0]
    for number, (axis, one) in enumerate(zip(axes, directions, strict=True)):
        count = one.step_rad.value.size
        away = np.array([e.centre_phase_rad for e in one.used]) - one.common_phase_rad[:, None]
        turn = np.angle(np.exp(1j * (away - one.step_rad.value)).mean())
        colour = COLOURS[number % len(COLOURS)]
        axis.plot(away.ravel() - turn, np.full(away.size, 0.9), ".", ms=4, color=colour, alpha=0.5)
        axis.plot(one.step_rad.value, np.ones(count), "o", ms=6, mfc="none", color=colour)
        axis.set_title(f"direction {number + 1}: std {np.degrees(one.step_error_rad):.2f}°",
                       fontsize=9)  # fmt: skip
        axis.set_yticks([])
        axis.set_thetagrids([360.0 * j / count for j in range(count)])
        axis.set_ylim(0, 1.1)
        axis.tick_params(labelsize=6)
    return figure


def field_figure(directions: Sequence[Series]) -> Figure | None:
    """Phase over the field of each direction, where the pattern varies; None where none does."""
    found = []
    for number, one in enumerate(directions, 1):
        fields = [e.direction.local for e in one.used if e.direction.local is not None]
        if fields:
            most = max(fields, key=lambda f: f.summary()["max_phase_deviation_deg"])
            found.append((number, most))
    if not found:
        return None
    figure = new_figure(3.0 * len(found) + 0.6, 2.8)
    axes = figure.subplots(1, len(found), squeeze=False)[0]
    for axis, (number, field) in zip(axes, found, strict=True):
        y, x = (np.linspace(n[0], n[-1], 64) for n in (field.y_um, field.x_um))
        phase = np.degrees(np.angle(field.at(y, x)))
        limit = max(float(np.abs(phase).max()), 1.0)
        image = axis.imshow(phase, extent=(x[0], x[-1], y[-1], y[0]), cmap="RdBu_r", vmin=-limit,
                            vmax=limit)  # fmt: skip
        figure.colorbar(image, ax=axis, shrink=0.8, label="°")
        axis.set_title(f"direction {number}", fontsize=9)
        axis.set_xlabel("x / µm", fontsize=8)
        axis.tick_params(labelsize=7)
    axes[0].set_ylabel("y / µm", fontsize=8)
    return figure

"""Pictures of a registration."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from calibration.registration.measure import ChannelMap, Registration
from simrecon.qc.figures import new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def residual_figure(channel: ChannelMap, found: Registration) -> Figure:
    """Shift over the field, residuals of beads left out over the field, and as a cloud."""
    fit = channel.fit
    assert fit is not None
    figure = new_figure(11.0, 3.6)
    left, middle, right = figure.subplots(1, 3)
    height, width = (found.pixel_um * n for n in found.shape)
    y, x = np.meshgrid(np.linspace(0, height, 9), np.linspace(0, width, 9), indexing="ij")
    points = np.stack([y, x], axis=-1)
    # flips and quarter turns about the centre are taken off: beside them nothing is to be seen
    centre, turn = 0.5 * np.array([height, width]), np.rint(channel.affine.matrix)
    moved = 1e3 * (channel.affine(points) - centre - (points - centre) @ turn.T)
    _arrows(left, points.reshape(-1, 2), moved.reshape(-1, 2), "#7f7f7f")
    less = "" if np.array_equal(turn, np.eye(2)) else ", less its flip or turn"
    left.set_title(f"{channel.emission_nm:g} nm → reference{less}", fontsize=9)
    residual = 1e3 * fit.left_out_um
    _arrows(middle, fit.points_um, residual, "#1f4e79")
    middle.set_title(f"beads left out: {fit.residual_nm:.1f} nm rms", fontsize=9)
    for axis in (left, middle):
        axis.set_xlim(0, width)
        axis.set_ylim(height, 0)
        axis.set_aspect("equal")
        axis.set_xlabel("x / µm", fontsize=8)
        axis.set_ylabel("y / µm", fontsize=8)
        axis.tick_params(labelsize=7)
    right.plot(residual[:, 1], residual[:, 0], ".", ms=4, color="#1f4e79")
    angle = np.linspace(0, 2 * np.pi, 100)
    right.plot(fit.residual_nm * np.cos(angle), fit.residual_nm * np.sin(angle), color="0.7", lw=1)
    right.set_aspect("equal", "datalim")
    right.invert_yaxis()
    right.set_xlabel("x / nm", fontsize=8)
    right.set_ylabel("y / nm", fontsize=8)
    right.tick_params(labelsize=7)
    right.set_title("residuals, and their rms", fontsize=9)
    return figure


def _arrows(axis: Axes, points: np.ndarray, vectors_nm: np.ndarray, colour: str) -> None:
    """Arrows with a key of a round length."""
    typical = float(np.median(np.hypot(*vectors_nm.T))) or 1.0
    unit = 10.0 ** np.floor(np.log10(2.0 * typical))
    key = float(unit * max(v for v in (1, 2, 5) if v * unit <= 2.0 * typical or v == 1))
    quiver = axis.quiver(points[:, 1], points[:, 0], vectors_nm[:, 1], vectors_nm[:, 0],
                         angles="xy", color=colour, scale=key / 0.05, scale_units="width",
                         width=0.004)  # fmt: skip
    axis.quiverkey(quiver, 0.9, -0.1, key, f"{key:g} nm", labelpos="E",
                   fontproperties={"size": 7})  # fmt: skip

"""Drawings of an OTF measurement."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from calibration.otf.measure import OtfMeasurement
from simrecon.model.psf import DirectionalVolumeOTF, GridOTF, RadialOTF
from simrecon.physics.otf import evaluate_otf, theoretical_otf
from simrecon.qc.figures import new_figure
from simrecon.qc.otf_figure import draw_volume_otf

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def otf_figure(found: OtfMeasurement) -> Figure:
    """Every order over (kr, kz); of a plane the curve beside theory's."""
    otf = found.otf()
    if isinstance(otf, DirectionalVolumeOTF):
        return draw_volume_otf(otf.directions)
    if not isinstance(otf, RadialOTF | GridOTF):
        return draw_volume_otf([otf])
    figure = new_figure(6, 4)
    axes = figure.subplots()
    optics = found.setup.optics
    k = np.linspace(0.0, optics.cutoff_per_um, 300)
    zero = np.zeros(1)
    theory = theoretical_otf(optics, pixel_um=found.setup.pixel_um)
    axes.plot(k, np.real(evaluate_otf(theory, zero, k)), "--", color="0.5", label="theory")
    axes.plot(k, np.real(evaluate_otf(otf, zero, k)).ravel(), label="measured")
    if isinstance(otf, GridOTF):
        axes.plot(k, np.real(evaluate_otf(otf, k, zero)).ravel(), label="measured, along y")
    axes.set(xlabel="frequency, cycles/µm", ylabel="H")
    axes.legend(frameon=False)
    return figure


def light_figure(found: OtfMeasurement) -> Figure:
    """Light of all orders along z."""
    light = found.light
    assert light is not None
    figure = new_figure(8, 3.2)
    reach = 1.3 * float(np.abs(light.distance_um).max())
    z = np.linspace(-reach, reach, 300)
    model = light.profiles.at(z)
    count = light.each.shape[1]
    for m, axes in enumerate(figure.subplots(1, count, squeeze=False)[0]):
        for own in light.each:
            axes.plot(light.distance_um, own[m].real, ".", ms=3)
        axes.plot(z, model[m].real, "k-", lw=0.8, label="real")
        axes.plot(z, model[m].imag, "k:", lw=0.8, label="imaginary")
        axes.set(title=f"order {m}", xlabel="distance from focus, µm")
    axes.legend(frameon=False, fontsize=7)
    return figure


def beads_figure(found: OtfMeasurement) -> Figure:
    """Mean bead of the first direction, order by order, in the plane of focus and along z."""
    orders = found.separations[0].orders
    planes = orders.shape[1]
    figure = new_figure(2.4 * len(orders), 4.4 if planes > 1 else 2.6)
    grid = figure.subplots(2 if planes > 1 else 1, len(orders), squeeze=False)
    pixel, dz = found.setup.pixel_um, found.setup.dz_um or 1.0
    for m, picture in enumerate(orders):
        real, middle = picture.real, picture.shape[1] // 2
        top = float(np.abs(orders[0].real).max()) * (1.0 if m == 0 else 0.7)
        focus = int(np.argmax(np.sum(orders[0].real ** 2, axis=(1, 2))))
        shown = [real[focus]] + ([real[:, middle]] if planes > 1 else [])
        for axes, one, aspect, name in zip(grid[:, m], shown, (1.0, dz / pixel), ("xy", "xz"),
                                           strict=False):  # fmt: skip
            axes.imshow(one, cmap="RdBu_r", vmin=-top, vmax=top, aspect=aspect)
            axes.set_title(f"order {m}, {name}", fontsize=8)
            axes.set_axis_off()
    return figure

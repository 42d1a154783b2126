"""Drawings of OTFs: what a file turned out to hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from simrecon.model.psf import DetectionOTF, RadialOTF, VolumeOTF
from simrecon.physics.otf import evaluate_otf
from simrecon.physics.otf_volume import evaluate_volume_otf
from simrecon.qc.figures import new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DECADES = 4.0
_POINTS = 161
_PROFILE_UM = 2.0


def draw_planar_otf(otf: DetectionOTF) -> Figure:
    """H against frequency: along x and y where it may differ."""
    figure = new_figure(6, 4)
    axes = figure.subplots()
    k = np.linspace(0.0, otf.cutoff_per_um, 400)
    zero = np.zeros(1)
    lines = [("", zero, k)] if isinstance(otf, RadialOTF) else [("x", zero, k), ("y", k, zero)]
    for name, ky, kx in lines:
        axes.plot(k, np.real(evaluate_otf(otf, ky, kx)).ravel(), label=name or None)
    if len(lines) > 1:
        axes.legend()
    axes.set(xlabel="frequency, cycles/µm", ylabel="H")
    figure.suptitle(_wrapped(otf.source, 80), fontsize=8)
    return figure


def draw_volume_otf(otfs: Sequence[VolumeOTF]) -> Figure:
    """Size of every order over (kr, kz), its cut-offs, and the light of the orders along z.

    One row for each direction; the last column shows the PSF of every order along z relative to
    that of order 0 in focus, real part, at lateral frequencies between a tenth and a half of the
    cut-off.
    """
    orders = otfs[0].orders
    figure = new_figure(3.6 * (orders + 1), 3.4 * len(otfs))
    grid = figure.subplots(len(otfs), orders + 1, squeeze=False)
    for row, otf in zip(grid, otfs, strict=True):
        top = max(otf.axial_cutoff_per_um) * 1.1
        kz = np.linspace(-top, top, _POINTS)
        kr = np.linspace(0.0, otf.cutoff_per_um * 1.05, _POINTS)
        for m, axes in enumerate(row[:-1]):
            values = np.abs(evaluate_volume_otf(otf, m, kz[:, None], np.zeros((1, 1)), kr[None]))
            shown = np.log10(np.maximum(values / values.max(), 10.0**-_DECADES))
            picture = axes.imshow(
                shown, origin="lower", aspect="auto", extent=(0, kr[-1], -top, top), vmin=-_DECADES
            )
            limit = otf.axial_cutoff_per_um[m]
            axes.hlines([-limit, limit], 0, kr[-1], "w", "dotted")
            axes.set(title=f"order {m}, log10 of |H|", xlabel="kr, cycles/µm", ylabel="kz")
            figure.colorbar(picture, ax=axes)
        z, profiles = axial_light(otf)
        for m, profile in enumerate(profiles):
            row[-1].plot(z, profile.real, label=f"order {m}")
        row[-1].set(title="along z", xlabel="z, µm")
        row[-1].legend()
    figure.suptitle(_wrapped(otfs[0].source, 50 * (orders + 1)), fontsize=8)
    return figure


def axial_light(otf: VolumeOTF) -> tuple[np.ndarray, np.ndarray]:
    """PSFs of all orders along z, over the one of order 0 at z = 0.

    Returns
    -------
    z : ndarray, (Z,)
        µm.
    profiles : ndarray, (orders, Z), complex
    """
    z = np.linspace(-_PROFILE_UM, _PROFILE_UM, 201)
    kr = np.linspace(0.1, 0.5, 33) * otf.cutoff_per_um
    top = max(otf.axial_cutoff_per_um)
    kz = np.linspace(-top, top, 401)
    waves = np.exp(2j * np.pi * kz[:, None] * z)
    values = [
        evaluate_volume_otf(otf, m, kz, np.zeros((1, 1)), kr[:, None]) for m in range(otf.orders)
    ]
    seen = np.stack([np.sum(kr[:, None] * (v @ waves), axis=0) for v in values])
    return z, np.asarray(seen / seen[0, z.size // 2])


def _wrapped(text: str, width: int) -> str:
    lines = [""]
    for part in text.split("; "):
        joined = f"{lines[-1]}; {part}" if lines[-1] else part
        if len(joined) > width and lines[-1]:
            lines.append(part)
        else:
            lines[-1] = joined
    return "\n".join(lines)

"""The camera measurement drawn: photon transfer, its straightness, maps and histograms."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from calibration.camera_results import CameraMeasurement, read_noise_adu
from simrecon.qc.figures import new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BLUE, _RED, _GREY = "#1f5fa8", "#c23b22", "#8a8a8a"


def camera_figure(found: CameraMeasurement) -> Figure:
    """Six panels in one figure, 13 × 7.5 inches."""
    figure = new_figure(13, 7.5)
    axes = figure.subplots(2, 3)
    _transfer(axes[0, 0], found)
    _straightness(axes[0, 1], found)
    _drift(axes[0, 2], found)
    good = found.mask == 0
    _map(axes[1, 0], found.dark.mean, good, "offset (ADU)")
    _map(axes[1, 1], read_noise_adu(found) / found.transfer.gain, good, "read noise (e)")
    _histogram(axes[1, 2], read_noise_adu(found) / found.transfer.gain)
    return figure


def _transfer(axes: Axes, found: CameraMeasurement) -> None:
    """Variance against signal, both above dark, of pixels (grey) and levels (blue)."""
    fit = found.transfer
    good = np.flatnonzero(found.mask == 0)
    some = good[:: max(1, good.size // 1500)]
    excess = [(lv.signal.flat[some], lv.variance.flat[some]) for lv in found.levels]
    dark = found.dark.variance.flat[some]
    for signal, variance in excess:
        axes.plot(signal, variance - dark, ",", color=_GREY, rasterized=True)
    axes.plot(fit.level_signal, fit.level_variance, "o", color=_BLUE, label="levels")
    line = np.array([0.5 * fit.level_signal.min(), 1.5 * fit.level_signal.max()])
    axes.plot(line, fit.gain * line, color=_RED, lw=1,
              label=f"gain {fit.gain:.4g} ± {fit.gain_sd:.1g} ADU/e")  # fmt: skip
    axes.set(xscale="log", yscale="log", xlabel="signal above dark (ADU)",
             ylabel="variance above dark (ADU²)", title="photon transfer")  # fmt: skip
    low = 0.2 * float(fit.level_variance.min())
    axes.set_ylim(max(low, 1e-3), 5.0 * float(fit.level_variance.max()))
    axes.legend(frameon=False)


def _straightness(axes: Axes, found: CameraMeasurement) -> None:
    """Deviation of each level's gain from the common one, %."""
    fit = found.transfer
    axes.axhline(0, color=_RED, lw=1)
    axes.errorbar(fit.level_signal, fit.deviation_percent, fit.deviation_sd_percent, fmt="o",
                  color=_BLUE, capsize=3)  # fmt: skip
    reach = 1.3 * float(np.max(np.abs(fit.deviation_percent) + fit.deviation_sd_percent))
    axes.set(xscale="log", xlabel="signal above dark (ADU)", ylim=(-reach, reach),
             ylabel="gain of the level, deviation (%)", title="linearity")  # fmt: skip


def _drift(axes: Axes, found: CameraMeasurement) -> None:
    """Means of the dark frames in order."""
    axes.plot(found.dark.frame_means, color=_BLUE, lw=0.7)
    axes.ticklabel_format(useOffset=False, axis="y")
    axes.set(xlabel="dark frame", ylabel="mean (ADU)", title="dark level over time")


def _map(axes: Axes, image: np.ndarray, good: np.ndarray, title: str) -> None:
    low, high = np.percentile(image[good], [0.5, 99.5])
    shown = axes.imshow(image, cmap="viridis", vmin=low, vmax=high, interpolation="nearest")
    axes.set(title=title, xticks=[], yticks=[])
    assert axes.figure is not None
    axes.figure.colorbar(shown, ax=axes, shrink=0.85)


def _histogram(axes: Axes, read_e: np.ndarray) -> None:
    """Read noise of all pixels, logarithmic so that the tail of noisy pixels shows."""
    top = max(float(read_e.max()), 1e-9)
    axes.hist(read_e.ravel(), bins=80, range=(0.0, 1.02 * top), color=_BLUE)
    axes.set(yscale="log", xlabel="read noise (e)", ylabel="pixels", title="read noise, all pixels")

"""The camera measurement drawn: photon transfer, its straightness, maps and histograms."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from calibration.camera_results import CameraMeasurement, read_noise_adu
from calibration.emva1288 import quadratic_surface
from calibration.pixel_mask import DEAD, HOT, NOISY
from simrecon.qc.figures import new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BLUE, _RED, _GREY = "#1f5fa8", "#c23b22", "#8a8a8a"


def camera_figure(found: CameraMeasurement) -> Figure:
    """Eight panels in one figure, 17 × 7.5 inches."""
    figure = new_figure(17, 7.5)
    axes = figure.subplots(2, 4)
    _transfer(axes[0, 0], found)
    _straightness(axes[0, 1], found)
    _drift(axes[0, 2], found)
    _histogram(axes[0, 3], read_noise_adu(found) / found.transfer.gain)
    good = found.mask == 0
    _map(axes[1, 0], found.dark.mean, good, "offset (ADU)")
    _map(axes[1, 1], read_noise_adu(found) / found.transfer.gain, good, "read noise (e)")
    _map(axes[1, 2], _response_percent(found), good, "response to light (% of its mean)")
    _bad_pixels(axes[1, 3], found.mask)
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
    some = fit.level_signal[:: max(1, fit.level_signal.size // 4)]
    axes.set_xticks(some, [f"{signal:.0f}" for signal in some])
    axes.set_xticks([], minor=True)


def _drift(axes: Axes, found: CameraMeasurement) -> None:
    """Means of the dark frames in order."""
    axes.plot(found.dark.frame_means, color=_BLUE, lw=0.7)
    axes.ticklabel_format(useOffset=False, axis="y")
    axes.set(xlabel="dark frame", ylabel="mean (ADU)", title="dark level over time")


def _response_percent(found: CameraMeasurement) -> np.ndarray:
    """Signal of the brightest level over its mean, a quadratic surface (the light) taken off, %."""
    signal = found.levels[-1].signal.astype(np.float64)
    good = found.mask == 0
    smooth = quadratic_surface(np.where(good, signal, np.median(signal[good])))
    return np.asarray(100.0 * (signal - smooth) / signal[good].mean())


def _bad_pixels(axes: Axes, mask: np.ndarray) -> None:
    """Where hot, noisy and dead pixels lie."""
    for name, bit, marker in (("hot", HOT, "o"), ("noisy", NOISY, "s"), ("dead", DEAD, "x")):
        y, x = np.nonzero(mask & bit)
        axes.plot(x, y, marker, ms=4, mew=1, mfc="none", label=f"{y.size} {name}")
    rows, columns = mask.shape
    axes.set(xlim=(-0.5, columns - 0.5), ylim=(rows - 0.5, -0.5), aspect="equal", xticks=[],
             yticks=[], xlabel="bad pixels")  # fmt: skip
    axes.legend(frameon=False, ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1.0))


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

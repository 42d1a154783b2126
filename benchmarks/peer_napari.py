"""napari-sim-processor (BSD-3-Clause, from PyPI) on the frames that ours gets.

Its processor class is used without its Qt widget. Its phases are fitted (`usePhases`), its Wiener
parameter is the best of a sweep *by the truth*, and sign conventions are resolved in its favour.
"""

from __future__ import annotations

import importlib
import importlib.util
import itertools
import sys
import time
import types
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from simrecon.model.optics import Optics
from simrecon.model.pattern import DirectionPattern, PatternFit

NAME = "napari-sim-processor"
WIENER_SWEEP = (0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.8)
INDEX = 1.515


@dataclass(frozen=True)
class PeerRun:
    """One calibration and the best reconstruction after it.

    Attributes
    ----------
    image : ndarray, (2·Y, 2·X)
        On this project's SR grid.
    patterns : list of PatternFit
        What the calibration found, once per sign convention of its phases.
    calibrate_s, reconstruct_s : float
        Wall times of one calibration and of one reconstruction.
    wiener : float
        The chosen Wiener parameter.
    """

    image: np.ndarray
    patterns: list[PatternFit]
    calibrate_s: float
    reconstruct_s: float
    wiener: float


def processor_class() -> Any | None:
    """The processor class; None when the package is not installed."""
    spec = importlib.util.find_spec("napari_sim_processor")
    if spec is None or spec.submodule_search_locations is None:
        return None
    package = types.ModuleType("napari_sim_processor")
    package.__path__ = list(spec.submodule_search_locations)
    sys.modules["napari_sim_processor"] = package
    return importlib.import_module(
        "napari_sim_processor.processors.convSimProcessor"
    ).ConvSimProcessor


def configured(cls: Any, optics: Optics, pixel_um: float, directions: int, phases: int) -> Any:
    """An instance for these optics, phases fitted, no attenuation of the centre."""
    tool = cls(directions, phases)
    tool.debug = False
    tool.magnification, tool.pixelsize = 1.0, pixel_um
    tool.NA, tool.wavelength, tool.n = optics.na, 1e-3 * optics.emission_nm, INDEX
    tool.beta, tool.eta, tool.usePhases = 0.0, 0.75, True
    return tool


def run(
    cls: Any,
    frames_e: np.ndarray,
    optics: Optics,
    pixel_um: float,
    score: Callable[[np.ndarray], float],
) -> PeerRun:
    """Calibrate and reconstruct with every Wiener parameter; keep the one that scores best."""
    directions, phases, ny, nx = frames_e.shape
    stack = np.maximum(frames_e.reshape(-1, ny, nx), 0).astype(np.float32)
    tool = configured(cls, optics, pixel_um, directions, phases)
    tool.w = 1.0
    start = time.perf_counter()
    tool.calibrate(stack)
    calibrate_s = time.perf_counter() - start
    fits = patterns(tool, (ny, nx), pixel_um, directions, phases)
    # the Wiener parameter enters its filter by the denominator only: set it without calibrating
    strength, unit = np.fft.fftshift(tool.wienerfilter), tool._postfilter
    best: PeerRun | None = None
    best_score = -np.inf
    for wiener in WIENER_SWEEP:
        tool._postfilter = (unit * (strength + 1.0) / (strength + wiener**2)).astype(unit.dtype)
        start = time.perf_counter()
        image = tool.reconstruct_rfftw(stack)
        reconstruct_s = time.perf_counter() - start
        image = on_our_grid(image)
        found = score(image)
        if found > best_score:
            best_score = found
            best = PeerRun(image, fits, calibrate_s, reconstruct_s, wiener)
    assert best is not None
    return best


def on_our_grid(image: np.ndarray) -> np.ndarray:
    """Move its SR pixels (pixel 0 on raw pixel 0) to SR pixel centres that share the edges."""
    ky, kx = np.fft.fftfreq(image.shape[0])[:, None], np.fft.fftfreq(image.shape[1])[None]
    shifted: np.ndarray = np.fft.ifft2(np.fft.fft2(image) * np.exp(-1j * np.pi * (ky + kx))).real
    return shifted


def patterns(
    tool: Any, shape: tuple[int, int], pixel_um: float, directions: int, phases: int
) -> list[PatternFit]:
    """Its calibration in our value type; its phases refer to pixel N/2, in units of NA/λ."""
    unit = tool.NA / tool.wavelength
    centre = np.array(shape) / 2 * pixel_um
    fits = []
    for sign_step, sign_global in itertools.product((1, -1), (1, -1)):
        found = []
        for d in range(directions):
            f = np.array([tool.ky[d, 0], tool.kx[d, 0]], dtype=np.float64) * unit
            steps = sign_step * np.asarray(tool.phi[d, d * phases : (d + 1) * phases])
            phase = steps + sign_global * float(tool.p[d, 0]) - 2 * np.pi * f @ centre
            found.append(
                DirectionPattern(
                    (float(f[0]), float(f[1])),
                    tuple(float(p) for p in phase),
                    (float(tool.ampl[d, 0]),),
                    (1.0,) * phases,
                )
            )
        fits.append(PatternFit(pixel_um, shape, tuple(found)))
    return fits

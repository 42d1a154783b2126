"""What a perfect instrument of a stated resolution would show of a simulated object."""

from __future__ import annotations

import numpy as np

from simrecon.model.psf import DetectionOTF, RadialOTF
from simrecon.physics.forward import Detector
from simrecon.physics.otf import TABLE_POINTS, ideal_otf
from simrecon.physics.simulate import Truth


def reference_otf(cutoff_per_um: float) -> RadialOTF:
    """The ideal incoherent OTF stretched to a cut-off."""
    v = np.linspace(0.0, 1.0, TABLE_POINTS)
    return RadialOTF(v * cutoff_per_um, ideal_otf(v), cutoff_per_um, None, "ideal reference")


def reference_image(truth: Truth, *, otf: DetectionOTF | None = None, zoom: int = 2) -> np.ndarray:
    """The true object, noise-free, at the resolution of an OTF, sampled on the SR grid.

    Parameters
    ----------
    truth
        From :func:`simrecon.physics.simulate.simulate`.
    otf
        The reference's OTF. None: the ideal OTF whose cut-off is the detection's plus the mean
        pattern frequency (the resolution that linear SIM can reach).
    zoom
        SR grid; it must divide the simulator's `fine`.

    Returns
    -------
    ndarray, (zoom·Y, zoom·X), float32
        In-focus object and uniform background, electrons per raw pixel area.
    """
    if otf is None:
        frequencies = [np.hypot(*d.frequency_per_um) for d in truth.pattern.directions]
        otf = reference_otf(truth.otf.cutoff_per_um + float(np.mean(frequencies)))
    image = Detector(truth.field, otf, zoom=zoom)(truth.fine_object)
    return np.asarray(image + np.float32(truth.background_e))

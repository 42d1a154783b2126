"""Errors of a fitted pattern against simulated truth."""

import numpy as np


def errors(fit, truth):
    """Frequency (DFT samples), phase at the centre, modulation and intensity errors.

    The sign of the frequency is settled first.
    """
    ny, nx = truth.pattern.shape
    extent = np.array([ny, nx]) * truth.pattern.pixel_um
    centre = (np.array([ny, nx]) - 1) / 2 * truth.pattern.pixel_um
    out = {"f": [], "phi": [], "m": [], "g": []}
    for got, true in zip(fit.directions, truth.pattern.directions, strict=True):
        f, t = np.array(got.frequency_per_um), np.array(true.frequency_per_um)
        phi = np.array(got.phase_rad)
        if f @ t < 0:
            f, phi = -f, -phi
        shift = 2 * np.pi * (f - t) @ centre
        out["f"].append((f - t) * extent)
        out["phi"].append(np.angle(np.exp(1j * (phi + shift - np.array(true.phase_rad)))))
        out["m"].append(got.modulation[0] - true.modulation[0])
        out["g"].append(np.array(got.intensity) - np.array(true.intensity))
    return {k: np.array(v) for k, v in out.items()}

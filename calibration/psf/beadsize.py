"""The bead is not a point: how much that matters, and taking it out of a measured mean."""

from __future__ import annotations

import numpy as np

from calibration.psf.settings import BeadSetup
from simrecon.model.pattern import Verdict
from simrecon.physics.bead_image import sphere_otf

NOTED, TOO_LARGE = 0.5, 0.15
"""Transmission of the bead at the lateral cut-off below which it is noted, and below which high
frequencies are lost (the first zero of a sphere lies at k·d = 1.43)."""


def bead_transmission(setup: BeadSetup) -> float:
    """Smallest value of the sphere's transform up to the lateral cut-off."""
    k = np.linspace(0.0, setup.optics.cutoff_per_um, 65)
    return float(np.min(sphere_otf(k, setup.bead_um)))


def bead_note(setup: BeadSetup) -> tuple[Verdict, str]:
    """Verdict and text on the size of the beads ("ok" and empty where it hardly matters)."""
    left = bead_transmission(setup)
    largest = 0.8 / setup.optics.cutoff_per_um
    text = (
        f"Beads of {1e3 * setup.bead_um:.0f} nm pass {100 * max(left, 0):.0f} % at the cut-off; "
        f"beads of up to {1e3 * largest:.0f} nm would pass half."
    )
    if left < TOO_LARGE:
        return "weak", f"The beads are too large for this objective. {text}"
    return "ok", text if left < NOTED else ""


def compensate(mean: np.ndarray, error: np.ndarray, setup: BeadSetup) -> np.ndarray:
    """Mean bead with the sphere divided out as far as the noise allows.

    The filter is S·(1 + ν)/(S² + ν), ν(k) the noise power over the signal power: 1/S where the
    signal stands above the noise, 1 (no change) where it does not, and exactly 1 at k = 0.

    Parameters
    ----------
    mean, error : ndarray, shape (Z, Y, X)
        Background-free mean and its standard error.
    """
    if setup.bead_um == 0:
        return np.asarray(mean)
    planes = mean.shape[0]
    mirrored = np.concatenate([mean, np.flip(mean, 0)]) if planes > 1 else mean
    spectrum = np.fft.fftn(mirrored)
    spacing = (float(setup.dz_um or 1.0), setup.pixel_um, setup.pixel_um)
    kz, ky, kx = (np.fft.fftfreq(n, d) for n, d in zip(mirrored.shape, spacing, strict=True))
    radius = np.sqrt(kz[:, None, None] ** 2 + ky[:, None] ** 2 + kx**2)
    sphere = sphere_otf(radius, setup.bead_um)
    noise = float(np.mean(error**2)) * mirrored.size * (2.0 if planes > 1 else 1.0)
    ratio = noise / np.maximum(np.abs(spectrum) ** 2 - noise, 1e-3 * noise)
    restored = np.fft.ifftn(spectrum * sphere * (1.0 + ratio) / (sphere**2 + ratio))
    return np.asarray(np.real(restored)[:planes])

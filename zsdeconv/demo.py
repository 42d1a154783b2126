"""Simulated raw data with known truth, and how close pictures come to it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simrecon.model.stack import SimStack
from simrecon.physics.otf import ideal_otf
from simrecon.physics.phantoms import PhantomKind
from simrecon.physics.simulate import Truth, simulate
from simrecon.qc.metrics import psnr
from zsdeconv.enhancement import Enhanced

REFERENCE_GAIN = 1.5


@dataclass(frozen=True)
class Scene:
    """Simulated frames, their truth, and the truth at the reference resolution (SR grid)."""

    stack: SimStack
    truth: Truth
    reference: np.ndarray


def simulate_scene(
    *, kind: PhantomKind = "mixed", size: int = 256, peak_e: float = 100.0,
    background_e: float = 2.0, seed: int = 0,
) -> Scene:  # fmt: skip
    """Raw 2D-SIM frames like a dim live-cell acquisition, with unequal steps and lamp flicker."""
    stack, truth = simulate(
        shape=(size, size), kind=kind, peak_e=peak_e, background=background_e, seed=seed,
        phase_jitter_rad=0.05, intensity_jitter=0.02,
    )  # fmt: skip
    return Scene(stack, truth, reference_object(truth, stack.pixel_um))


def reference_object(truth: Truth, pixel_um: float) -> np.ndarray:
    """The true object seen through an ideal microscope 1.5 times finer than SIM.

    Its PSF is that of the ideal incoherent OTF with the cut-off
    ``1.5 · (k_detection + |p|)``; the result is sampled on the SR grid of zoom 2 (means over SR
    pixels), float32, electrons per raw pixel area, background included.
    """
    pattern = max(float(np.hypot(*d.frequency_per_um)) for d in truth.pattern.directions)
    cutoff = REFERENCE_GAIN * (truth.otf.cutoff_per_um + pattern)
    return ideally_seen(truth, cutoff, 0.5 * pixel_um)


def ideally_seen(truth: Truth, cutoff_per_um: float, pixel_um: float) -> np.ndarray:
    """The true object through an ideal incoherent microscope; means over pixels of this pitch.

    Shape and place are those of the camera's field, float32, electrons per raw pixel area,
    background included.
    """
    grid = truth.fine_grid
    ky = np.fft.fftfreq(grid.shape[0], grid.pixel_um)[:, None]
    kx = np.fft.rfftfreq(grid.shape[1], grid.pixel_um)[None, :]
    transfer = ideal_otf(np.hypot(ky, kx) / cutoff_per_um)
    blurred = np.fft.irfft2(np.fft.rfft2(truth.fine_object) * transfer, s=grid.shape)
    size = round(pixel_um / grid.pixel_um)
    camera = truth.field.camera
    ny, nx = (round(n * camera.pixel_um / pixel_um) for n in camera.shape)
    rows, columns = (n // size for n in blurred.shape)
    means = blurred.reshape(rows, size, columns, size).mean(axis=(1, 3))
    y, x = (rows - ny) // 2, (columns - nx) // 2
    return np.asarray(means[y : y + ny, x : x + nx] + truth.background_e, dtype=np.float32)


def scores(scene: Scene, enhanced: Enhanced) -> dict[str, float]:
    """PSNR (after the least-squares linear fit) of each picture against the reference, dB."""
    assert enhanced.reconstruction is not None
    wide = enhanced.reconstruction.widefield[0, 0, 0]
    pictures = {
        "widefield": np.kron(wide, np.ones((2, 2), np.float32)),
        "sim": enhanced.image,
        "denoised": enhanced.denoised,
        "enhanced": enhanced.deconvolved,
    }
    return {name: float(psnr(image, scene.reference)) for name, image in pictures.items()}

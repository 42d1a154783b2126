"""A simulated widefield picture with known truth."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from simrecon.model.camera import Camera
from simrecon.model.stack import SimStack
from simrecon.physics.phantoms import PhantomKind
from simrecon.physics.simulate import simulate
from simrecon.qc.metrics import psnr
from zsdeconv.demo import ideally_seen
from zsdeconv.enhancement import Enhanced

REFERENCE_GAIN = 1.4
"""Resolution of the reference over the widefield's: what the camera's pixels can hold."""
CAMERA = Camera(gain=2.2, offset=100.0, read_noise_e=1.5)


@dataclass(frozen=True)
class PictureScene:
    """A picture, and what is known about it.

    Attributes
    ----------
    stack : SimStack
        One frame, (1, 1, 1, 1, 1, Y, X), counts.
    clean_e : ndarray, shape (Y, X)
        The picture without noise, photo-electrons.
    reference : ndarray, shape (Y, X)
        The object at `REFERENCE_GAIN` times the widefield's cut-off, photo-electrons.
    """

    stack: SimStack
    clean_e: np.ndarray
    reference: np.ndarray

    @property
    def counts(self) -> np.ndarray:
        """The picture, (Y, X)."""
        return np.asarray(self.stack.data[0, 0, 0, 0, 0])

    @property
    def cutoff_per_um(self) -> float:
        """Cut-off of the optics."""
        return self.stack.optics[0].cutoff_per_um


def simulate_picture(
    *, kind: PhantomKind = "mixed", size: int = 256, peak_e: float = 50.0,
    background_e: float = 2.0, camera: Camera = CAMERA, seed: int = 0,
) -> PictureScene:  # fmt: skip
    """One dim widefield picture, 65 nm pixels, NA 1.49, of an sCMOS-like camera."""
    stack, truth = simulate(shape=(size, size), kind=kind, peak_e=peak_e, background=background_e,
                            camera=camera, seed=seed)  # fmt: skip
    clean = np.asarray(truth.widefield_e, dtype=np.float64)
    rng = np.random.default_rng(np.random.SeedSequence([seed, 7]))
    electrons = rng.poisson(clean) + rng.normal(0.0, 1.0, clean.shape) * camera.read_noise_e
    counts = np.rint(np.maximum(camera.gain * electrons + camera.offset, 0.0)).astype(np.uint16)
    picture = replace(stack, data=counts[None, None, None, None, None], camera=camera)
    cutoff = REFERENCE_GAIN * truth.otf.cutoff_per_um
    return PictureScene(picture, clean, ideally_seen(truth, cutoff, stack.pixel_um))


def picture_scores(scene: PictureScene, enhanced: Enhanced) -> dict[str, float]:
    """PSNR after the linear fit, dB: noisy and denoised against the clean picture, noisy and
    deconvolved against the reference.
    """
    return {
        "noisy": float(psnr(enhanced.image, scene.clean_e)),
        "denoised": float(psnr(enhanced.denoised, scene.clean_e)),
        "noisy (fine)": float(psnr(enhanced.image, scene.reference)),
        "deconvolved (fine)": float(psnr(enhanced.deconvolved, scene.reference)),
    }

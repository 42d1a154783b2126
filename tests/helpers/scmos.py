"""An sCMOS camera as bad as they come."""

import numpy as np

from simrecon.model.camera import Camera
from simrecon.model.pattern import PatternFit


def scmos(shape: tuple[int, int], seed: int = 0, bad: int = 12) -> Camera:
    """Gain ±5 %, offset ±3 counts, read noise 1 e with columns of 10 e, `bad` dead or hot pixels.

    Half of the bad pixels are NaN in the gain map, the others have a read noise of 60 e.
    """
    rng = np.random.default_rng(seed)
    gain = (2.0 * (1 + 0.05 * rng.uniform(-1, 1, shape))).astype(np.float32)
    offset = (100 + rng.uniform(-3, 3, shape)).astype(np.float32)
    read = (1.0 + 0.5 * rng.gamma(1.0, 1.0, shape)).astype(np.float32)
    read[:, rng.choice(shape[1], shape[1] // 20, replace=False)] = 10.0
    where = rng.choice(shape[0] * shape[1], bad, replace=False)
    gain.ravel()[where[::2]] = np.nan
    read.ravel()[where[1::2]] = 60.0
    return Camera(gain, offset, read, source="maps")


def expose(expected_e: np.ndarray, camera: Camera, rng: np.random.Generator) -> np.ndarray:
    """Counts, float: a dead pixel gives 5000 counts whatever the light."""
    electrons = rng.poisson(np.maximum(expected_e, 0)) + np.nan_to_num(
        np.asarray(camera.read_noise_e)
    ) * rng.normal(size=expected_e.shape)
    counts = np.asarray(camera.offset) + np.asarray(camera.gain) * electrons
    return np.where(np.isfinite(counts), np.rint(counts), 5000.0).astype(np.float32)


def pattern_errors(found: PatternFit, true: PatternFit) -> tuple[float, float]:
    """Mean frequency error (DFT samples) and rms phase error at the field's centre (degrees)."""
    extent = np.array(found.shape) * found.pixel_um
    frequency, phase = [], []
    for one, other in zip(found.directions, true.directions, strict=True):
        sign = 1 if np.dot(one.frequency_per_um, other.frequency_per_um) > 0 else -1
        off = sign * np.array(one.frequency_per_um) - other.frequency_per_um
        frequency.append(np.hypot(*(off * extent)))
        turn = sign * np.array(one.phase_rad) - other.phase_rad + np.pi * np.dot(off, extent)
        phase.append(np.angle(np.exp(1j * turn)))
    return float(np.mean(frequency)), float(np.degrees(np.sqrt(np.mean(np.square(phase)))))

"""Dark and flat frames of a camera with fixed pattern, for calibrations with known truth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from simrecon.model.camera import Camera

CAMERA_SEED = 20
"""Seed of the fixed pattern: one camera, whatever the seed of its frames."""


@dataclass(frozen=True)
class Sensor:
    """A camera pixel by pixel.

    Attributes
    ----------
    camera : Camera
        Maps (Y, X) of gain (ADU/e), offset (ADU) and read noise (e).
    response : ndarray (Y, X)
        Relative sensitivity to light, mean 1.
    full_scale : int
        Largest count.
    """

    camera: Camera
    response: np.ndarray
    full_scale: int = 65535

    def frames(
        self, light_e: float, count: int, rng: np.random.Generator, flicker: float = 0.0
    ) -> Iterator[np.ndarray]:
        """Frames (Y, X), uint16, one by one.

        Parameters
        ----------
        light_e
            Mean photo-electrons per pixel; 0 for dark frames.
        count
            Number of frames.
        rng
            Source of photon noise, read noise and flicker.
        flicker
            Relative standard deviation of the light from frame to frame.
        """
        gain, offset = np.asarray(self.camera.gain), np.asarray(self.camera.offset)
        read = np.asarray(self.camera.read_noise_e)
        shape = self.response.shape
        for _ in range(count):
            light = max(light_e * (1.0 + flicker * rng.standard_normal()), 0.0)
            electrons = rng.poisson(light * self.response) + read * rng.standard_normal(shape)
            counts = np.rint(offset + gain * electrons)
            yield np.clip(counts, 0, self.full_scale).astype(np.uint16)


def sensor(
    shape: tuple[int, int],
    camera: Camera,
    *,
    dsnu_adu: float = 2.0,
    prnu: float = 0.01,
    hot_fraction: float = 1e-3,
    seed: int = CAMERA_SEED,
) -> Sensor:
    """A sensor whose pixels scatter about the numbers of a camera.

    Parameters
    ----------
    shape
        Rows and columns.
    camera
        Gain, offset and read noise, numbers or maps; the gain is kept as it is.
    dsnu_adu
        Standard deviation of the offsets over the pixels, ADU.
    prnu
        Relative standard deviation of the sensitivities.
    hot_fraction
        Share of the pixels with an offset higher by 200 ADU and ten times the read noise.
    seed
        Of the fixed pattern.
    """
    rng = np.random.default_rng(seed)
    offset = np.asarray(camera.offset) + dsnu_adu * rng.standard_normal(shape)
    response = 1.0 + prnu * rng.standard_normal(shape)
    read = np.broadcast_to(np.asarray(camera.read_noise_e, dtype=np.float64), shape).copy()
    hot = rng.random(shape) < hot_fraction
    offset[hot] += 200.0
    read[hot] *= 10.0
    gain = np.broadcast_to(np.asarray(camera.gain, dtype=np.float64), shape)
    maps = Camera(gain, offset, read, source="simulated")
    return Sensor(maps, np.maximum(response, 0.0) / response.mean())

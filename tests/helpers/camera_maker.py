"""Simulated dark and flat stacks of a camera whose every number is known."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from simrecon.model.camera import Camera
from simrecon.physics.simulate_camera import Sensor


@dataclass
class SimulatedCamera:
    """Poisson light, Gaussian read noise, fixed pattern; counts rounded and clipped to 16 bit.

    `gain` (ADU/e) may be a map; `offset`, `read_noise_e` and `response` are made as maps.
    """

    shape: tuple[int, int] = (32, 48)
    gain: float | np.ndarray = 2.2
    offset_adu: float = 100.0
    dsnu_adu: float = 2.0
    read_noise_e: float = 1.5
    prnu: float = 0.01
    top: int = 65535
    seed: int = 0
    offset: np.ndarray = field(init=False)
    read_e: np.ndarray = field(init=False)
    response: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.seed)
        self.offset = self.offset_adu + self.rng.normal(0, self.dsnu_adu, self.shape)
        self.read_e = np.full(self.shape, self.read_noise_e)
        self.response = 1 + self.rng.normal(0, self.prnu, self.shape)

    def stack(self, light_e: float, count: int, flicker: float = 0.0) -> np.ndarray:
        """Frames (count, Y, X), uint16; light in mean photo-electrons, flicker relative rms."""
        camera = Camera(self.gain, self.offset, self.read_e)
        chip = Sensor(camera, self.response, self.top)
        return np.stack(list(chip.frames(light_e, count, self.rng, flicker)))

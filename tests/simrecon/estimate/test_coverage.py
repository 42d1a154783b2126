import numpy as np
import pytest

from simrecon.estimate.coverage import coverage
from simrecon.physics.phantoms import make_phantom
from simrecon.physics.simulate import fine_field, simulate
from simrecon.recon.preprocess import raw_variance

SHAPE, PIXEL_UM, CUTOFF_PER_UM = (96, 128), 0.065, 5.0


def line(angle_rad: float) -> np.ndarray:
    """A straight filament through the middle, on the simulator's grid."""
    y, x = fine_field(SHAPE, PIXEL_UM).grid.positions_um()
    centre = 0.5 * PIXEL_UM * np.array(SHAPE)
    across = np.cos(angle_rad) * (x - centre[1]) - np.sin(angle_rad) * (y - centre[0])
    return np.exp(-0.5 * (across / 0.03) ** 2).astype(np.float32)


def covered(peak_e: float, scene: np.ndarray | None = None, **keys) -> float:
    stack, _ = simulate(shape=SHAPE, pixel_um=PIXEL_UM, peak_e=peak_e, fine_object=scene, **keys)
    frames = stack.frames_e()
    return coverage(frames, raw_variance(frames, stack.camera), PIXEL_UM, CUTOFF_PER_UM)


@pytest.mark.parametrize("angle_rad", [0.0, 0.7, np.pi / 2, 2.5])
@pytest.mark.parametrize("peak_e", [1000.0, 100.0])
def test_a_line_is_narrow_whatever_its_angle_and_light(angle_rad, peak_e):
    assert covered(peak_e, line(angle_rad), background=5.0, haze=0.3) < 0.2


def test_crossing_lines_cover_the_field():
    assert covered(300.0, line(0.3) + line(1.8)) > 0.5


@pytest.mark.parametrize("kind", ["filaments", "beads", "blobs"])
def test_scattered_structure_covers_the_field(kind):
    grid = fine_field(SHAPE, PIXEL_UM).grid
    assert 0.3 < covered(100.0, make_phantom(kind, grid, np.random.default_rng(1))) < 1.3


def test_noise_is_not_taken_for_structure():
    """A dim line in front of a bright even background stays a line."""
    assert covered(60.0, line(0.7), background=200.0) < 0.3


def test_frames_without_structure_are_not_called_narrow():
    frames = np.full((3, 3, 64, 64), 50.0, np.float32)
    assert coverage(frames, frames, PIXEL_UM, CUTOFF_PER_UM) == 1.0

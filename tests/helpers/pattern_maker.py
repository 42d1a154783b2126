"""Raw SIM frames made by hand, without the project's simulator."""

import numpy as np
from scipy.ndimage import gaussian_filter

ANGLES_DEG = (10.0, 70.0, -50.0)


def make_frames(
    *,
    angles_deg=ANGLES_DEG,
    phases=3,
    planes=1,
    times=1,
    period_px=3.4,
    size=96,
    peak=400.0,
    modulation=0.7,
    second=0.0,
    seed=0,
    offset=100.0,
) -> np.ndarray:
    """Poisson frames (T, A, P, Z, Y, X), uint16: points and lines under cosine patterns.

    The finest pattern order has `period_px`; with `second` > 0 that is order 2 and the
    fundamental, of modulation `second`, has twice the period.
    """
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size].astype(float)
    out = np.empty((times, len(angles_deg), phases, planes, size, size))
    for z in range(planes):
        scene = np.zeros((size, size))
        edge = min(4, size // 4)
        scene[tuple(rng.integers(edge, size - edge, (2, 300)))] = 1.0
        scene = gaussian_filter(scene, 0.7)
        for a, angle in enumerate(np.radians(angles_deg)):
            along = 2 * np.pi / period_px * (x * np.cos(angle) + y * np.sin(angle))
            for p in range(phases):
                light = 1 + modulation * np.cos(
                    along + 2 * (2 * np.pi * p / phases + 0.3 * a) * (1 if second else 0.5)
                )
                if second:
                    light += second * np.cos(along / 2 + 2 * np.pi * p / phases + 0.3 * a)
                out[:, a, p, z] = gaussian_filter(scene * light, 0.9)
    out *= peak / out.max()
    return (rng.poisson(out + 5.0) + offset).astype(np.uint16)


def as_sequence(frames: np.ndarray, order: str = "PA") -> np.ndarray:
    """(T, A, P, Z, Y, X) as one sequence (n, Y, X) in `order` (fastest first), time slowest."""
    letters = "T" + "".join(reversed(order)) + ("" if "Z" in order else "Z")
    where = ["TAPZ".index(c) for c in dict.fromkeys(letters)]
    return frames.transpose(*where, 4, 5).reshape(-1, *frames.shape[-2:])


def regroup(sequence: np.ndarray, angles: int, phases: int, order: str) -> np.ndarray:
    """Frames of one time point (n, Y, X), written in `order`, as (A, P, Z, Y, X)."""
    letters = [*order, *("" if "Z" in order else "Z")]
    sizes = {"A": angles, "P": phases, "Z": len(sequence) // (angles * phases)}
    grouped = sequence.reshape(*(sizes[c] for c in letters[::-1]), *sequence.shape[-2:])
    return grouped.transpose(*(letters[::-1].index(c) for c in "APZ"), 3, 4)

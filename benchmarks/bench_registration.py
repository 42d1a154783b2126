"""`simcal registration` on simulated beads: errors against the truth, and how many beads it needs.

    python benchmarks/bench_registration.py [--draws 6]

First whole pictures: two colours, 1.4 NA, 80 nm pixels, 200², beads of two brightnesses, the second
camera turned by up to 1°, magnifying by up to 0.5 % and shifted by up to 0.5 µm. Then positions
alone, 3 nm errors, 15 % of the beads missing in either channel, the second camera mirrored, turned
by up to 9° from a quarter turn and shifted by up to a quarter of the field: how often the map is
found, refused, and wrong.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from common import save, table

from calibration.registration.match import match
from calibration.registration.measure import measure_registration
from calibration.registration.spots import Beads
from simrecon.errors import QualityError
from simrecon.model.affine import Affine2D
from simrecon.model.optics import Optics
from simrecon.physics.simulate_beads import scattered_beads, simulate_bead_channels

PIXEL_UM, SIZE = 0.08, 200
EXTENT_UM = PIXEL_UM * SIZE
OPTICS = (Optics(1.4, 525.0), Optics(1.4, 605.0))
CENTRE = np.full(2, 0.5 * (SIZE - 1) * PIXEL_UM)
WRONG_NM = 50.0


def affine(turn_rad: float, magnify: float, shift: np.ndarray, flip: float = 1.0) -> Affine2D:
    c, s = np.cos(turn_rad), np.sin(turn_rad)
    matrix = magnify * np.array([[c, s], [-s, c]]) @ np.diag([1.0, flip])
    return Affine2D.of(matrix, CENTRE + shift - matrix @ CENTRE)


def away_nm(found: Affine2D, true: Affine2D) -> np.ndarray:
    """Distances over the field between mapped points and where they belong."""
    line = np.linspace(0.0, EXTENT_UM, 9)
    points = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
    return 1e3 * np.hypot(*(found(true(points)) - points).T)


def pictures(peak_e: float, draws: int) -> dict[str, Any]:
    true_rms, stated, residual, count = [], [], [], []
    for seed in range(draws):
        rng = np.random.default_rng([seed, int(peak_e)])
        true = affine(np.deg2rad(rng.uniform(-1, 1)), 1 + rng.uniform(-0.005, 0.005),
                      rng.uniform(-0.5, 0.5, 2))  # fmt: skip
        beads = scattered_beads((1, SIZE, SIZE), pixel_um=PIXEL_UM, dz_um=0.1, optics=OPTICS[0],
                                bead_um=0.1, peak_e=peak_e, spacing_um=2.4, seed=seed)  # fmt: skip
        counts = simulate_bead_channels(beads, (Affine2D(), true), shape=(SIZE, SIZE),
                                        pixel_um=PIXEL_UM, optics=OPTICS, seed=seed)  # fmt: skip
        fit = measure_registration([counts], PIXEL_UM, OPTICS).channels[1].fit
        line = np.linspace(0.0, EXTENT_UM, 9)
        points = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
        true_rms.append(np.sqrt(np.mean(away_nm(fit.affine, true) ** 2)))
        stated.append(np.sqrt(np.mean(fit.error_nm(true(points)) ** 2)))
        residual.append(fit.residual_nm)
        count.append(fit.count)
    return {"peak_e": peak_e, "beads": float(np.mean(count)),
            "error_nm": float(np.sqrt(np.mean(np.square(true_rms)))),
            "stated_nm": float(np.sqrt(np.mean(np.square(stated)))),
            "residual_nm": float(np.mean(residual))}  # fmt: skip


def unknown_maps(count: int, draws: int) -> dict[str, Any]:
    found = wrong = refused = 0
    for seed in range(draws):
        rng = np.random.default_rng([seed, count])
        quarter = rng.integers(4) * np.pi / 2
        true = affine(quarter + np.deg2rad(rng.uniform(-9, 9)), rng.uniform(0.975, 1.025),
                      rng.uniform(-0.25, 0.25, 2) * EXTENT_UM, rng.choice([-1.0, 1.0]))  # fmt: skip
        points = rng.uniform(0, EXTENT_UM, (count, 2))
        there = true(points) + 0.003 * rng.normal(size=points.shape)
        keep = rng.random((2, count)) < 0.85
        one, other = (Beads(p[k], np.full(k.sum(), 0.003), {})
                      for p, k in zip((there, points), keep, strict=True))  # fmt: skip
        try:
            fit = match([one], [other], (EXTENT_UM, EXTENT_UM)).fit
        except QualityError:
            refused += 1
            continue
        if away_nm(fit.affine, true).max() > WRONG_NM:
            wrong += 1
        else:
            found += 1
    return {"beads": count, "found": found, "refused": refused, "wrong": wrong}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=6)
    chosen = parser.parse_args()
    whole = [pictures(peak, chosen.draws) for peak in (1000.0, 200.0)]
    print(table(["peak, e", "beads", "error, nm", "stated, nm", "residual, nm"],
                [[f"{r['peak_e']:g}", f"{r['beads']:.0f}", f"{r['error_nm']:.2f}",
                  f"{r['stated_nm']:.2f}", f"{r['residual_nm']:.2f}"] for r in whole]))  # fmt: skip
    places = [unknown_maps(count, 5 * chosen.draws) for count in (8, 12, 16, 24, 48)]
    print(table(["beads", "found", "refused", "wrong"],
                [[r["beads"], r["found"], r["refused"], r["wrong"]] for r in places]))  # fmt: skip
    save("registration", {"draws": chosen.draws, "pictures": whole, "places": places})

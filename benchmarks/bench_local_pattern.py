"""What a pattern that bends and fades over the field costs, with and without a local pattern.

Run: ``python benchmarks/bench_local_pattern.py [--size 256] [--seeds 60]``

bent
    Direction 1 turns by 150° and loses 70 % of its contrast towards the lower border; own
    simulator.
    Equalised PSNR (dB) of the whole picture and of its lower half with the true pattern, with
    ``estimate.local`` off and auto; error of the carrier of direction 1 (rms, weighted with the
    light, relative).
even
    False alarms: fits to even patterns in which a local pattern was taken, over objects, light and
    haze.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from common import save, table

from simrecon.config import build_settings
from simrecon.model.pattern import DirectionPattern, PatternFit
from simrecon.physics.simulate import Truth, simulate
from simrecon.pipeline import estimate_pattern, reconstruct
from simrecon.qc.metrics import equalised_psnr

KINDS = ("filaments", "rings", "blobs", "beads", "mixed")
PEAKS = (1000.0, 100.0, 30.0)
PIXEL_UM = 0.065
MARGIN_PX = 24
BENT = {"phase_bend_rad": (2.6, 0.0, 0.0), "contrast_loss": (0.7, 0.0, 0.0)}


def made(size: int, kind: Any, peak_e: float, **options: Any) -> Any:
    return simulate(
        shape=(size, size),
        pixel_um=PIXEL_UM,
        kind=kind,
        peak_e=peak_e,
        phase_jitter_rad=0.1,
        intensity_jitter=0.03,
        **options,
    )


def carrier(direction: DirectionPattern, shape: tuple[int, int]) -> np.ndarray:
    """M c(r) exp(i(2π p·r + φ)) of the first frame."""
    y, x = (np.arange(n) * PIXEL_UM for n in shape)
    fy, fx = direction.frequency_per_um
    c = 1.0 if direction.local is None else direction.local.at(y, x)
    turn = 2 * np.pi * (fy * y[:, None] + fx * x[None, :]) + direction.phase_rad[0]
    return np.asarray(direction.modulation[0] * c * np.exp(1j * turn))


def carrier_error(found: PatternFit, truth: Truth) -> float:
    ours, theirs = (carrier(p.directions[0], p.shape) for p in (found, truth.pattern))
    light = np.maximum(truth.widefield_e, 0.0)
    scale = np.sum(light * np.abs(theirs) ** 2)
    ways = (np.sum(light * np.abs(ours - t) ** 2) for t in (theirs, theirs.conj()))
    return float(np.sqrt(min(ways) / scale))


def bent(size: int, kind: str, peak_e: float) -> list[Any]:
    stack, truth = made(size, kind, peak_e, seed=1, **BENT)
    row: list[Any] = [kind, f"{peak_e:g}"]
    errors = []
    for pattern, local in ((truth.pattern, "auto"), (None, "off"), (None, "auto")):
        settings = build_settings(("bench", {"local": local, "drift": "off", "variance": False}))
        result = reconstruct(stack, settings, otf=truth.otf, pattern=pattern)
        picture, m = result.image[0, 0, 0], MARGIN_PX
        for rows in (slice(m, -m), slice(size, -m)):
            psnr = equalised_psnr(picture[rows, m:-m], truth.object_e[rows, m:-m])
            row.append(f"{psnr:.2f}")
        if pattern is None:
            errors.append(f"{carrier_error(result.pattern, truth):.3f}")
    return row + errors


def even(size: int, seeds: int) -> dict[str, int]:
    fits = alarms = 0
    settings = build_settings(("bench", {"drift": "off"}))
    for seed in range(seeds):
        haze = 0.5 * (seed % 2)
        kind, peak_e = KINDS[seed % 5], PEAKS[seed % 3]
        stack, truth = made(size, kind, peak_e, seed=100 + seed, haze=haze)
        fit = estimate_pattern(stack, truth.otf, settings)
        fits += len(fit.directions)
        alarms += sum(d.local is not None for d in fit.directions)
    return {"fits": fits, "alarms": alarms}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--seeds", type=int, default=60, help="even patterns")
    parser.add_argument("--kinds", nargs="+", default=["filaments", "rings", "mixed"])
    chosen = parser.parse_args()
    rows = [bent(chosen.size, kind, peak) for peak in (1000.0, 100.0) for kind in chosen.kinds]
    header = ["object", "e", "true", "lower half", "off", "lower half", "auto", "lower half"]
    print(table([*header, "carrier error off", "auto"], rows))
    alarms = even(chosen.size, chosen.seeds)
    print(f"even patterns: {alarms['alarms']} of {alarms['fits']} fits took a local pattern")
    save("local_pattern", {"bent": rows, "even": alarms})


if __name__ == "__main__":
    main()

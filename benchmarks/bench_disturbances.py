"""What motion, bleaching and out-of-focus light cost, with and without their correction.

Run: ``python benchmarks/bench_disturbances.py [--size 160] [--pictures DIR] [--only drift …]``

Own simulator, pattern fitted to every data set. "equalised PSNR" (dB) is that against the object
after the best gain per Fourier ring, 24 pixels from the border left out. Every figure is the mean
over the objects; "undisturbed" is the same object without the disturbance.

drift
    Directions displaced by a random vector of that length each (mean 0), or the sample moving at
    constant speed by 1 px from the first frame to the last.
still
    False alarms: data sets without motion in which drift was found.
bleaching
    40 % lost from the first frame to the last, with 3 % flicker: intensities fitted, true, and
    taken as equal.
haze
    Out-of-focus light of 0-3 times the signal: bias of the modulation, and the picture with
    attenuation off and auto. There also the error against the object over its own spread, because
    the equalised PSNR forgives most of a haze.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
from common import RESULTS, save, table

from simrecon.config import build_settings
from simrecon.model.pattern import PatternFit
from simrecon.model.stack import SimStack
from simrecon.physics.simulate import Truth, simulate
from simrecon.pipeline import estimate_pattern, reconstruct
from simrecon.qc.metrics import equalised_psnr
from simrecon.result import Result

KINDS = ("filaments", "mixed")
PEAKS = (1000.0, 200.0)
PIXEL_UM = 0.065
MARGIN_PX = 24
Pictures = dict[str, np.ndarray]


def made(size: int, kind: str, peak_e: float, **options: Any) -> tuple[SimStack, Truth]:
    options.setdefault("seed", 1)
    return simulate(
        shape=(size, size), pixel_um=PIXEL_UM, kind=kind, peak_e=peak_e, background=5.0, **options
    )


def picture(
    stack: SimStack, truth: Truth, pattern: PatternFit | None = None, **keys: Any
) -> Result:
    settings = build_settings(
        ("benchmark", {"on_fit_failure": "widefield", "variance": False, **keys})
    )
    return reconstruct(stack, settings, otf=truth.otf, pattern=pattern)


def score(result: Result, truth: Truth) -> float:
    return equalised_psnr(result.image[0, 0, 0], truth.object_e, margin_px=MARGIN_PX)


@cache
def undisturbed(size: int, kind: str, peak_e: float) -> float:
    stack, truth = made(size, kind, peak_e)
    return score(picture(stack, truth), truth)


def averaged(rows: list[dict[str, float]]) -> dict[str, float]:
    return {key: round(mean(r[key] for r in rows), 3) for key in rows[0]}


def drifts() -> dict[str, np.ndarray]:
    """Displacements (3, 3, 2) in µm by name."""
    rng = np.random.default_rng(0)
    angle = rng.uniform(0, 2 * np.pi, 3) + 2 * np.pi * np.arange(3) / 3
    unit = np.stack([np.sin(angle), np.cos(angle)], axis=-1)
    found = {}
    for length in (0.5, 1.0, 2.0):
        between = PIXEL_UM * length * unit
        between -= between.mean(axis=0)
        found[f"{length:g} px between directions"] = np.repeat(between[:, None], 3, axis=1)
    way = PIXEL_UM * np.linspace(-0.5, 0.5, 9).reshape(3, 3, 1)
    found["1 px at constant speed"] = way * np.array([0.6, 0.8])
    return found


def drift(size: int, pictures: Pictures) -> list[dict[str, Any]]:
    out = []
    for peak in PEAKS:
        for name, moved in drifts().items():
            rows = []
            for kind in KINDS:
                stack, truth = made(size, kind, peak, drift_um=moved)
                fitted = picture(stack, truth)
                found = np.array(
                    [d.drift_um or ((0.0, 0.0),) * 3 for d in fitted.pattern.directions]
                )
                off = picture(stack, truth, drift="off")
                rows.append(
                    {
                        "undisturbed": undisturbed(size, kind, peak),
                        "off": score(off, truth),
                        "auto": score(fitted, truth),
                        "true": score(picture(stack, truth, truth.pattern), truth),
                        "error_px": float(np.sqrt(np.mean((found - moved) ** 2))) / PIXEL_UM,
                    }
                )
                if peak == PEAKS[0] and kind == KINDS[0] and name.startswith("1 px between"):
                    pictures["drift of 1 px, off"] = off.image[0, 0, 0]
                    pictures["drift of 1 px, auto"] = fitted.image[0, 0, 0]
            out.append({"peak_e": peak, "drift": name, **averaged(rows)})
            print(out[-1], flush=True)
    return out


def still(size: int, _pictures: Pictures) -> list[dict[str, Any]]:
    out = []
    for peak in (1000.0, 100.0, 30.0):
        tried, alarms, failed = 0, 0, 0
        for kind in (*KINDS, "blobs", "beads"):
            for seed in range(6):
                stack, truth = made(size, kind, peak, seed=100 + seed)
                fit = estimate_pattern(stack, truth.otf)
                failed += fit.verdict == "failed"
                tried += fit.verdict != "failed"
                alarms += fit.drifting
        out.append({"peak_e": peak, "tried": tried, "false_alarms": alarms, "failed_fits": failed})
        print(out[-1], flush=True)
    return out


def bleaching(size: int, _pictures: Pictures) -> list[dict[str, Any]]:
    out = []
    for peak in PEAKS:
        rows = []
        for kind in KINDS:
            options = {"bleaching": 0.4, "intensity_jitter": 0.03}
            stack, truth = made(size, kind, peak, **options)
            equal = replace(
                truth.pattern,
                directions=tuple(
                    replace(d, intensity=(1.0,) * len(d.intensity))
                    for d in truth.pattern.directions
                ),
            )
            rows.append(
                {
                    "undisturbed": undisturbed(size, kind, peak),
                    "equal": score(picture(stack, truth, equal), truth),
                    "fitted": score(picture(stack, truth), truth),
                    "true": score(picture(stack, truth, truth.pattern), truth),
                }
            )
        out.append({"peak_e": peak, **averaged(rows)})
        print(out[-1], flush=True)
    return out


def error(result: Result, truth: Truth) -> float:
    """Spread of picture − object over the spread of the object."""
    inner = np.s_[MARGIN_PX:-MARGIN_PX, MARGIN_PX:-MARGIN_PX]
    difference = (result.image[0, 0, 0] - truth.object_e)[inner]
    return float(difference.std() / truth.object_e[inner].std())


def haze(size: int, pictures: Pictures) -> list[dict[str, Any]]:
    out = []
    for peak in PEAKS:
        for amount in (0.0, 1.0, 3.0):
            rows = []
            for kind in KINDS:
                stack, truth = made(size, kind, peak, haze=amount)
                off, auto = picture(stack, truth), picture(stack, truth, attenuation="auto")
                contrasts = zip(off.pattern.directions, truth.pattern.directions, strict=True)
                found = off.qc["acquisitions"][0].get("unmodulated_share", {"value": np.nan})
                rows.append(
                    {
                        "modulation_bias": mean(
                            a.modulation[0] - b.modulation[0] for a, b in contrasts
                        ),
                        "unmodulated_share": found["value"],
                        "psnr_off": score(off, truth),
                        "psnr_auto": score(auto, truth),
                        "error_off": error(off, truth),
                        "error_auto": error(auto, truth),
                        "acted": float("unmodulated_response" in auto.qc["acquisitions"][0]),
                    }
                )
                if peak == PEAKS[0] and kind == KINDS[0] and amount == 3.0:
                    pictures["haze 3, off"] = off.image[0, 0, 0]
                    pictures["haze 3, auto"] = auto.image[0, 0, 0]
            out.append({"peak_e": peak, "haze": amount, **averaged(rows)})
            print(out[-1], flush=True)
    return out


PARTS: dict[str, Callable[[int, Pictures], list[dict[str, Any]]]] = {
    "drift": drift,
    "still": still,
    "bleaching": bleaching,
    "haze": haze,
}


def draw(pictures: Pictures, size: int, folder: Path) -> None:
    """The pictures beside the undisturbed one."""
    import matplotlib.pyplot as plt

    stack, truth = made(size, KINDS[0], PEAKS[0])
    shown = {"undisturbed": picture(stack, truth).image[0, 0, 0], **pictures}
    figure, axes = plt.subplots(1, len(shown), figsize=(4 * len(shown), 4.3))
    low, high = size // 2, size // 2 + min(200, size)
    for axis, (name, image) in zip(np.atleast_1d(axes), shown.items(), strict=True):
        part = image[low:high, low:high]
        axis.imshow(part, cmap="gray", vmin=np.percentile(part, 1), vmax=np.percentile(part, 99.7))
        axis.set_title(name)
        axis.axis("off")
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / "disturbances.png", dpi=80, bbox_inches="tight")


def earlier(name: str) -> dict[str, Any]:
    """Results of an earlier run, so that parts can be measured one by one."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text())["results"] if path.exists() else {}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=160)
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--pictures", type=Path)
    args = parser.parse_args()
    pictures: Pictures = {}
    results = earlier("disturbances") if args.only != list(PARTS) else {}
    results.update(size=args.size, kinds=list(KINDS))
    for name in args.only:
        results[name] = PARTS[name](args.size, pictures)
        print(table(list(results[name][0]), [list(r.values()) for r in results[name]]), flush=True)
        save("disturbances", results)
    if args.pictures is not None:
        draw(pictures, args.size, args.pictures)


if __name__ == "__main__":
    main()

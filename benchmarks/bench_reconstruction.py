"""Fitted against true parameters, and against napari-sim-processor, on the same raw frames.

Run: ``python benchmarks/bench_reconstruction.py [--kinds K …] [--objects 5] [--peaks E …]``
(512² × 9, 25 minutes on a quiet core; ``--pictures F.png`` draws crops at 100 e). Objects, patterns
and noise come from this project's simulator, which models the frames on a finer grid and shares no
code with the reconstruction: period 210 nm, modulation 0.85/0.70/0.55, steps jittered by 6°,
intensities by 3 %, read noise 1.5 e. With ``--bench2d DIR`` they come from ``gen_sim2d.py`` and
``simmetrics.py`` in DIR, a generator and a scorer of another hand. With napari-sim-processor
installed it runs beside ours in the same process. What does not depend on our fit need not be
measured again: ``--keep-peer`` takes the peer's figures from the last results, where the picture
with the true parameters has the same PSNR as there (so the frames are the same). Sets are kept in
``--rows ROWS.jsonl``; a run that was interrupted goes on there.

"equalised PSNR" is the PSNR after the best gain per Fourier ring, so that apodizations cancel; the
reference is the object at the ideal OTF stretched to cut-off + pattern frequency. Exits 1 when a
bound is missed. A set whose fit is not "ok" counts in the means like every other one.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, median
from typing import Any

import numpy as np
import peer_napari
from bench_pattern import aligned
from common import RESULTS, save, table

from simrecon.estimate import estimate_pattern
from simrecon.model.camera import Camera
from simrecon.model.grid import Grid
from simrecon.model.optics import Optics
from simrecon.model.pattern import DirectionPattern, PatternFit
from simrecon.model.psf import DetectionOTF
from simrecon.physics.otf import theoretical_otf
from simrecon.physics.reference import reference_image
from simrecon.physics.simulate import simulate
from simrecon.qc.metrics import equalised_psnr, linear_fit, psnr
from simrecon.recon.operator import Reconstructor
from simrecon.recon.preprocess import raw_variance

READ_E = 1.5
MARGIN_PX = 48
KINDS = ("filaments", "rings", "blobs", "beads")
LOSS_BOUND_DB = 0.2
SAME_FRAMES_DB = 0.02
PICTURE_PEAK, PICTURE_PX = 100, 200
TITLES = {"true": "simrecon, true pattern", "simrecon": "simrecon, fitted pattern"}
Pictures = dict[str, dict[str, np.ndarray]]
PATTERN_BOUNDS = {  # mean over directions and sets, at the light levels named
    "df_px": {1000: 0.004, 100: 0.005},
    "dphi_deg": {1000: 0.1, 100: 0.3},
    "dstep_deg": {1000: 0.3, 100: 0.8},
    "dm": {1000: 0.002, 100: 0.002},
}


@dataclass(frozen=True)
class Case:
    """One simulated acquisition with its truth."""

    labels: dict[str, Any]
    frames_e: np.ndarray
    pixel_um: float
    optics: Optics
    otf: DetectionOTF
    pattern: PatternFit
    score: Callable[[np.ndarray], dict[str, float]] = field(repr=False)
    reference: np.ndarray = field(repr=False)


def own_cases(
    kinds: list[str], objects: int, peaks: list[float], size: int, seed: int
) -> Iterator[Case]:
    """From this project's simulator; `objects` objects per kind, each at every light level."""
    optics = Optics(na=1.4, emission_nm=520.0, pixel_integration=False)
    for kind in kinds:
        for number in range(objects):
            for peak in peaks:
                stack, truth = simulate(
                    shape=(size, size),
                    optics=optics,
                    otf_model="ideal",
                    kind=kind,  # type: ignore[arg-type]
                    peak_e=peak,
                    period_um=0.21,
                    phase_jitter_rad=np.deg2rad(6.0),
                    intensity_jitter=0.03,
                    first_angle_rad=0.1 + 0.17 * number,
                    camera=Camera(gain=2.0, offset=100.0, read_noise_e=READ_E),
                    seed=seed + number,
                )
                reference = reference_image(truth)

                def score(image: np.ndarray, ref: np.ndarray = reference) -> dict[str, float]:
                    return {
                        "psnr_eq": equalised_psnr(image, ref, margin_px=MARGIN_PX),
                        "psnr": psnr(image, ref, margin_px=MARGIN_PX),
                    }

                labels = {"kind": kind, "object": number, "peak": peak}
                frames = stack.frames_e()
                yield Case(
                    labels,
                    frames,
                    stack.pixel_um,
                    optics,
                    truth.otf,
                    truth.pattern,
                    score,
                    reference,
                )


def independent_cases(folder: Path, objects: int, peaks: list[float]) -> Iterator[Case]:
    """From ``gen_sim2d.py``, scored by ``simmetrics.py``."""
    sys.path.insert(0, str(folder))
    generator = importlib.import_module("gen_sim2d")
    metrics = importlib.import_module("simmetrics")
    for number in range(objects):
        for peak in peaks:
            raw, _, _, reference, truth = generator.simulate(peak, True, number, 21 + number)
            optics = Optics(na=truth["na"], emission_nm=1e3 * truth["lem"], pixel_integration=False)

            def score(
                image: np.ndarray, truth: Any = truth, ref: np.ndarray = reference
            ) -> dict[str, float]:
                found = metrics.image_metrics(on_raw_pixel_zero(image), ref, truth)
                return {"psnr_eq": float(found["psnr_eq"]), "psnr": float(found["psnr"])}

            yield Case(
                {"kind": "independent", "object": number, "peak": peak},
                (raw - truth["offset"]).astype(np.float32),
                truth["dx"],
                optics,
                theoretical_otf(optics, model="ideal"),
                true_pattern(truth),
                score,
                reference,
            )


def true_pattern(truth: dict[str, Any]) -> PatternFit:
    """The independent generator's parameters (fx, fy) in our value type (fy, fx)."""
    intensity = np.array(truth["amps"]) / np.mean(truth["amps"])
    directions = tuple(
        DirectionPattern(
            (truth["F"][d][1], truth["F"][d][0]),
            tuple(truth["phases"][d]),
            (truth["m"][d],),
            tuple(intensity[d]),
        )
        for d in range(3)
    )
    return PatternFit(truth["dx"], (truth["N"], truth["N"]), directions)


def on_raw_pixel_zero(image: np.ndarray) -> np.ndarray:
    """Move SR pixel centres onto a grid whose pixel 0 lies on raw pixel 0."""
    ky, kx = np.fft.fftfreq(image.shape[0])[:, None], np.fft.fftfreq(image.shape[1])[None]
    moved: np.ndarray = np.fft.ifft2(np.fft.fft2(image) * np.exp(1j * np.pi * (ky + kx))).real
    return moved


def ours(case: Case, pattern: PatternFit | None) -> dict[str, Any]:
    """Image, pattern and times of this project, with fitted or given parameters."""
    variance = raw_variance(case.frames_e, Camera(read_noise_e=READ_E))
    start = time.perf_counter()
    if pattern is None:
        pattern = estimate_pattern(case.frames_e, case.pixel_um, case.otf, variance_e2=variance)
    fitted = time.perf_counter()
    operator = Reconstructor.from_frames(
        case.frames_e,
        pattern,
        case.otf,
        Grid((case.frames_e.shape[2], case.frames_e.shape[3]), case.pixel_um),
        frame_variance_e2=variance.mean(axis=(2, 3)),
    )
    image = operator.reconstruct(case.frames_e)
    end = time.perf_counter()
    return {"image": image, "pattern": pattern, "fit_s": fitted - start, "recon_s": end - fitted}


def pattern_errors(fit: PatternFit, truth: PatternFit) -> dict[str, float]:
    """Mean errors over the directions (`dm` signed)."""
    length = np.array(fit.shape) * fit.pixel_um
    frequencies = np.array([d.frequency_per_um for d in truth.directions])
    phases = np.array([d.phase_rad for d in truth.directions])
    rows = []
    for n, (df, dphi) in enumerate(aligned(fit, frequencies, phases)):
        common = float(np.angle(np.exp(1j * dphi).mean()))
        steps = np.angle(np.exp(1j * (dphi - common)))
        rows.append(
            {
                "df_px": float(np.hypot(*(df * length))),
                "dphi_deg": abs(float(np.rad2deg(common))),
                "dstep_deg": float(np.rad2deg(np.sqrt(np.mean(steps**2)))),
                "dm": fit.directions[n].modulation[0] - truth.directions[n].modulation[0],
            }
        )
    return {key: mean(row[key] for row in rows) for key in PATTERN_BOUNDS}


def compare(case: Case, peer: Any | None, pictures: Pictures | None) -> dict[str, Any]:
    """All programs on one case."""
    entry: dict[str, Any] = dict(case.labels)
    images: dict[str, np.ndarray] = {}
    for name, given in (("true", case.pattern), ("simrecon", None)):
        run = ours(case, given)
        entry[name] = {**case.score(run["image"]), "fit_s": run["fit_s"], "recon_s": run["recon_s"]}
        images[name] = run["image"]
        if given is None:
            entry[name].update(pattern_errors(run["pattern"], case.pattern))
            entry[name]["verdict"] = run["pattern"].verdict
    if peer is not None:
        found = peer_napari.run(
            peer, case.frames_e, case.optics, case.pixel_um, lambda i: case.score(i)["psnr_eq"]
        )
        images[peer_napari.NAME] = found.image
        errors = [pattern_errors(p, case.pattern) for p in found.patterns]
        entry[peer_napari.NAME] = {
            **case.score(found.image),
            "fit_s": found.calibrate_s,
            "recon_s": found.reconstruct_s,
            **min(errors, key=lambda e: e["dphi_deg"] + e["dstep_deg"]),
            "wiener": found.wiener,
        }
    if pictures is not None and case.labels["object"] == 0 and case.labels["peak"] == PICTURE_PEAK:
        wide = np.kron(case.frames_e.mean(axis=(0, 1)), np.ones((2, 2)))
        images = {"widefield": wide, **images, "object, ideal OTF": case.reference}
        pictures[case.labels["kind"]] = {name: crop(image) for name, image in images.items()}
    return entry


def earlier_sets() -> dict[tuple[Any, ...], dict[str, Any]]:
    """Sets of the last results by kind, object and light."""
    last = json.loads((RESULTS / "reconstruction.json").read_text())["results"]["sets"]
    return {label_of(r): r for r in last}


def read_rows(path: Path | None) -> list[dict[str, Any]]:
    """Sets of an interrupted run."""
    if path is None or not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines()]


def label_of(entry: dict[str, Any]) -> tuple[Any, ...]:
    return entry["kind"], entry["object"], entry["peak"]


def with_kept_peer(entry: dict[str, Any], earlier: dict[str, Any]) -> dict[str, Any]:
    """The peer's figures of an earlier run on the same frames."""
    apart = abs(entry["true"]["psnr_eq"] - earlier["true"]["psnr_eq"])
    if apart > SAME_FRAMES_DB:
        raise SystemExit(f"{label_of(entry)}: true parameters differ by {apart:.3f} dB: not kept")
    return {**entry, peer_napari.NAME: earlier[peer_napari.NAME]}


def crop(image: np.ndarray) -> np.ndarray:
    """The middle of an SR picture."""
    y, x = (n // 2 - PICTURE_PX // 2 for n in image.shape)
    return image[y : y + PICTURE_PX, x : x + PICTURE_PX].astype(np.float32)


def draw(pictures: Pictures, path: Path) -> None:
    """Kinds as rows, programs as columns; grey values after the linear fit to the reference."""
    from matplotlib.figure import Figure

    columns = list(next(iter(pictures.values())))
    figure = Figure(figsize=(2.2 * len(columns), 2.25 * len(pictures)), layout="constrained")
    axes = figure.subplots(len(pictures), len(columns), squeeze=False)
    for axis, title in zip(axes[0], columns, strict=True):
        axis.set_title(TITLES.get(title, title), fontsize=9)
    for line, (kind, images) in zip(axes, pictures.items(), strict=True):
        reference = images["object, ideal OTF"]
        low, high = np.percentile(reference, [0.5, 99.9])
        for axis, image in zip(line, images.values(), strict=True):
            gain, offset = linear_fit(image, reference)
            axis.imshow(
                gain * image + offset, cmap="gray", vmin=low, vmax=high, interpolation="nearest"
            )
            axis.set(xticks=[], yticks=[])
        line[0].set_ylabel(kind, fontsize=9)
    figure.savefig(path, dpi=100)
    print(f"wrote {path}")


def summary(some: list[dict[str, Any]], name: str) -> dict[str, float]:
    """Means over sets (medians of times)."""
    out = {
        "psnr_eq": mean(r[name]["psnr_eq"] for r in some),
        "loss_db": mean(r["true"]["psnr_eq"] - r[name]["psnr_eq"] for r in some),
        "worst_loss_db": max(r["true"]["psnr_eq"] - r[name]["psnr_eq"] for r in some),
        "fit_s": median(r[name]["fit_s"] for r in some),
        "recon_s": median(r[name]["recon_s"] for r in some),
    }
    if "df_px" in some[0][name]:
        out.update({k: mean(r[name][k] for r in some) for k in PATTERN_BOUNDS})
    return out


def within(levels: dict[str, dict[str, dict[str, float]]]) -> dict[str, bool]:
    """Which bounds hold for ours."""
    held = {}
    for peak, programs in levels.items():
        mine = programs["simrecon"]
        held[f"loss at {peak} e"] = mine["loss_db"] <= LOSS_BOUND_DB
        for key, bounds in PATTERN_BOUNDS.items():
            bound = bounds.get(int(float(peak)))
            if bound is not None:
                held[f"{key} at {peak} e"] = abs(mine[key]) <= bound
    return held


def rows_of(levels: dict[str, dict[str, dict[str, float]]]) -> list[list[str]]:
    rows = []
    for peak, programs in levels.items():
        for name, s in programs.items():
            errors = (
                [
                    f"{s['df_px']:.4f}",
                    f"{s['dphi_deg']:.3f}",
                    f"{s['dstep_deg']:.3f}",
                    f"{s['dm']:+.4f}",
                ]
                if "df_px" in s
                else [""] * 4
            )
            rows.append(
                [
                    peak,
                    name,
                    *errors,
                    f"{s['psnr_eq']:.2f}",
                    f"{s['loss_db']:.2f} ({s['worst_loss_db']:.2f})",
                    f"{s['fit_s'] + s['recon_s']:.2f}",
                ]
            )
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bench2d", type=Path, help="folder of another generator and scorer")
    parser.add_argument("--kinds", nargs="+", default=list(KINDS))
    parser.add_argument("--objects", type=int, default=5)
    parser.add_argument("--peaks", type=float, nargs="+", default=[1000, 300, 100, 30])
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--seed", type=int, default=100)
    parser.add_argument("--pictures", type=Path, help="PNG with a crop of each first object")
    parser.add_argument("--rows", type=Path, help="JSON lines, kept and continued")
    parser.add_argument("--name", help="of the results; else by the generator")
    parser.add_argument("--keep-peer", action="store_true", help="the last results' peer")
    args = parser.parse_args()
    peer = None if args.keep_peer else peer_napari.processor_class()
    kept = earlier_sets() if args.keep_peer else {}
    pictures: Pictures | None = {} if args.pictures else None
    cases = (
        independent_cases(args.bench2d, args.objects, args.peaks)
        if args.bench2d
        else own_cases(args.kinds, args.objects, args.peaks, args.size, args.seed)
    )
    results = read_rows(args.rows)
    done = {label_of(r) for r in results}
    for case in cases:
        if label_of(case.labels) in done:
            continue
        entry = compare(case, peer, pictures)
        if kept:
            entry = with_kept_peer(entry, kept[label_of(entry)])
        results.append(entry)
        print(entry, flush=True)
        if args.rows:
            with args.rows.open("a") as out:
                out.write(json.dumps(entry) + "\n")
    with_peer = peer is not None or args.keep_peer
    names = ["true", "simrecon"] + ([peer_napari.NAME] if with_peer else [])
    levels = {
        f"{peak:g}": {n: summary([r for r in results if r["peak"] == peak], n) for n in names}
        for peak in args.peaks
    }
    kinds = {
        kind: {
            f"{peak:g}": {
                n: summary([r for r in results if r["kind"] == kind and r["peak"] == peak], n)
                for n in names
            }
            for peak in args.peaks
        }
        for kind in dict.fromkeys(r["kind"] for r in results)
    }
    if pictures:
        draw(pictures, args.pictures)
    header = ["peak e", "parameters", "frequency px", "phase °", "steps °", "modulation bias"]
    header += ["PSNR eq. dB", "loss to true (worst) dB", "s"]
    print(table(header, rows_of(levels)))
    held = within(levels)
    print("bounds missed:", [k for k, v in held.items() if not v] or "none")
    name = args.name or ("reconstruction_independent" if args.bench2d else "reconstruction")
    save(name, {"sets": results, "levels": levels, "kinds": kinds, "within_bounds": held})
    return 0 if all(held.values()) else 1


if __name__ == "__main__":
    raise SystemExit(main())

"""What good and bad recordings of beads give for every number that `simcal otf` judges by.

    python benchmarks/bench_otf_gates.py [--seeds 2] [--only NAME …]

Small simulated recordings (beads of 1000 photo-electrons at the peak), good ones and ones with one
fault each. For every kind: the range of each number over the seeds, the verdict, and how far the
results are off: phase steps against their stated errors, contrast, and the OTF against the true one
(rms over the support, of the radial means). The limits in `calibration/otf/gates.py` stand between
what the good kinds and the faulty ones give.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from bench_otf import BEAD_UM, CASES, Case, step_errors_deg, true_otf
from common import RESULTS, save, table

from calibration.otf.gates import axial_spread_rad, off_equal_steps_rad
from calibration.otf.measure import OtfMeasurement, measure_otf
from calibration.otf.settings import OtfSettings
from calibration.psf.settings import BeadSetup, PsfSettings
from simrecon.errors import SimReconError
from simrecon.model.camera import Camera
from simrecon.model.optics import Optics
from simrecon.model.pattern import DirectionPattern
from simrecon.model.psf import AnyOTF
from simrecon.physics.illumination import regular_directions
from simrecon.physics.otf import evaluate_otf
from simrecon.physics.otf_volume import evaluate_volume_otf
from simrecon.physics.simulate_beads import Bead
from simrecon.physics.simulate_sim_beads import lit_beads, simulate_sim_beads
from simrecon.physics.simulate_volume import LATTICE
from simrecon.physics.simulate_volume_light import light_of, lit_directions
from simrecon.physics.theory_volume import axial_shift_per_um

SMALL = {
    "2d": replace(CASES["2d"], bead_shape=(1, 160, 160), spacing_um=2.6),
    "3d": replace(CASES["3d"], bead_shape=(19, 104, 104), spacing_um=3.8),
    "lls": replace(CASES["lls"], bead_shape=(41, 88, 88), spacing_um=4.0),
}
CAMERA = Camera(2.0, 100.0, 1.5)
Frames = np.ndarray


@dataclass(frozen=True)
class Kind:
    """A recording: what is good or wrong about it."""

    name: str
    mode: str = "2d"
    aberrations_nm: dict[int, float] = field(default_factory=lambda: {11: 40.0})
    jitter_rad: float = 0.05
    contrast: tuple[float, ...] | None = None
    directions: int = 1
    planes: int | None = None
    side: int | None = None
    drift_um: float = 0.0
    peak_e: float = 1000.0
    read_as: str | None = None
    frames: Callable[[Frames], Frames] = lambda frames: frames
    optics: Callable[[Optics], Optics] = lambda optics: optics


def _bleached(frames: Frames) -> Frames:
    """Half of the light is lost from the first to the last phase."""
    fall = np.linspace(1.0, 0.5, frames.shape[1])[None, :, None, None, None]
    return np.asarray(np.rint((frames - CAMERA.offset) * fall + CAMERA.offset))


KINDS = (
    Kind("2d, round"),
    Kind("2d, no aberration", aberrations_nm={}),
    Kind("2d, coma", aberrations_nm={7: 40.0}),
    Kind("2d, 200 e", peak_e=200.0),
    Kind("2d, four beads", side=128),
    Kind("2d, contrast 0.3", contrast=(0.3,)),
    Kind("2d, contrast 0.15", contrast=(0.15,)),
    Kind("2d, contrast 0.08", contrast=(0.08,)),
    Kind("2d, contrast 0.04", contrast=(0.04,)),
    Kind("2d, no pattern", contrast=(0.0,)),
    Kind("2d, steps off by 0.3 rad rms", jitter_rad=0.3),
    Kind("2d, half bleached", frames=_bleached),
    Kind("2d, drift 5 nm per frame", drift_um=0.005),
    Kind("2d, drift 20 nm per frame", drift_um=0.02),
    Kind("2d, three directions read as phases", directions=3,
         frames=lambda f: f.swapaxes(0, 1)[:1]),
    Kind("2d, directions and phases mixed", directions=2,
         frames=lambda f: f.swapaxes(0, 1).reshape(f.shape)[:1]),
    Kind("3d, round", "3d"),
    Kind("3d, 200 e", "3d", peak_e=200.0),
    Kind("3d, plane distance 20 % wrong", "3d", read_as="dz 1.2"),
    Kind("3d, planes the other way up", "3d", frames=lambda f: f[:, :, ::-1]),
    Kind("3d, excitation NA 5 % wrong", "3d",
         optics=lambda o: replace(o, excitation_na=0.95 * (o.excitation_na or 1.0))),
    Kind("3d, excitation NA 15 % wrong", "3d",
         optics=lambda o: replace(o, excitation_na=0.85 * (o.excitation_na or 1.0))),
    Kind("3d, phases mixed up", "3d", frames=lambda f: f[:, [0, 2, 1, 4, 3]]),
    Kind("3d, light of a sheet", "lls", read_as="3d"),
    *(Kind(f"lls, {n} planes", "lls", planes=n) for n in (25, 33, 41, 57)),
)  # fmt: skip


def pattern(kind: Kind, case: Case, rng: np.random.Generator) -> tuple[DirectionPattern, ...]:
    if kind.mode == "2d":
        return regular_directions(rng, directions=kind.directions, phases=3, period_um=0.22,
                                  modulation=kind.contrast or (0.8, 0.6), first_angle_rad=0.3,
                                  phase_jitter_rad=kind.jitter_rad)  # fmt: skip
    frequency, contrast, _ = light_of(kind.mode, case.optics, LATTICE, 0.0)
    return tuple(lit_directions(rng, kind.directions, 5, frequency,
                                contrast=kind.contrast or contrast, first_angle_rad=0.3,
                                phase_step_um=None, phase_jitter_rad=kind.jitter_rad))  # fmt: skip


def beads_of(case: Case, otf: AnyOTF, peak_e: float, rng: np.random.Generator) -> list[Bead]:
    """A lattice with jitter, near the middle plane."""
    dz, step = case.dz_um or 0.0, case.spacing_um
    middle = 0.5 * (case.bead_shape[0] - 1) * dz
    side = (case.bead_shape[1] - 1) * case.pixel_um
    places = np.arange(1.9, side - 1.8, step)
    beads = []
    for y in places:
        for x in places:
            z_off, y_off, x_off = rng.uniform(-0.5, 0.5, 3) * (dz, 0.4, 0.4)
            beads.append(Bead((middle + z_off, y + y_off, x + x_off), rng.uniform(0.8, 1.2)))
    window = {"pixel_um": case.pixel_um, "bead_um": BEAD_UM} | ({"dz_um": dz} if dz else {})
    return lit_beads(beads, peak_e, otf, **window)


def recorded(
    kind: Kind, case: Case, otf: AnyOTF, directions: tuple[DirectionPattern, ...],
    beads: list[Bead], seed: int,
) -> Frames:  # fmt: skip
    given: dict[str, Any] = {
        "shape": case.bead_shape, "pixel_um": case.pixel_um, "dz_um": case.dz_um,
        "bead_um": BEAD_UM, "background_e": 5.0, "camera": CAMERA, "seed": seed,
    }  # fmt: skip
    if not kind.drift_um:
        return simulate_sim_beads(beads, directions, otf, **given)
    out = []
    for j in range(len(directions[0].phase_rad)):
        away = j * kind.drift_um / np.sqrt(2.0)
        here = [replace(b, position_um=(b.position_um[0], b.position_um[1] + away,
                                        b.position_um[2] + away)) for b in beads]  # fmt: skip
        out.append(simulate_sim_beads(here, directions, otf, **given)[:, j])
    return np.stack(out, axis=1)


def otf_error(found: OtfMeasurement, true: AnyOTF) -> float:
    """Rms of radial means against those of the true OTF, over the support."""
    own = replace(found, psfs=None).otf()
    angles = np.linspace(0.0, 2.0 * np.pi, 8, endpoint=False)
    cutoff = found.setup.optics.cutoff_per_um
    if found.settings.mode == "2d":
        k = np.linspace(0.0, 0.95 * cutoff, 60)
        exact = np.mean([np.real(evaluate_otf(true, k * np.sin(a), k * np.cos(a)))  # type: ignore[arg-type]
                         for a in angles], axis=0)  # fmt: skip
        return float(np.sqrt(np.mean((evaluate_otf(own, np.zeros(1), k) - exact) ** 2)))  # type: ignore[arg-type]
    kz = np.linspace(-2.0, 2.0, 33)[:, None, None]
    k = np.linspace(0.3, 0.95 * cutoff, 30)[None, None]
    one, other = (np.mean([evaluate_volume_otf(o, 0, kz, k * np.sin(a), k * np.cos(a))  # type: ignore[arg-type]
                           for a in angles], axis=0) for o in (own, true))  # fmt: skip
    gain = np.vdot(one, other) / np.sum(np.abs(one) ** 2)
    return float(np.sqrt(np.sum(np.abs(gain * one - other) ** 2) / np.sum(np.abs(other) ** 2)))


def run(kind: Kind, seed: int) -> dict[str, Any]:
    """All numbers of one recording."""
    rng = np.random.default_rng(seed)
    case = SMALL[kind.mode]
    planes, side, _ = case.bead_shape
    case = replace(case, bead_shape=(kind.planes or planes, *[kind.side or side] * 2))
    otf = true_otf(case, kind.aberrations_nm)
    directions = pattern(kind, case, rng)
    frames = kind.frames(recorded(kind, case, otf, directions,
                                  beads_of(case, otf, kind.peak_e, rng), seed))  # fmt: skip
    dz = case.dz_um
    mode = kind.mode
    if kind.read_as:
        mode, dz = ("3d", dz) if kind.read_as == "3d" else (mode, 1.2 * (dz or 0.0))
    setup = BeadSetup(case.pixel_um, dz, kind.optics(case.optics), BEAD_UM)
    out: dict[str, Any] = {"kind": kind.name, "seed": seed}
    try:
        found = measure_otf([frames], setup, OtfSettings(mode, psf=PsfSettings(terms=(11,))))  # type: ignore[arg-type]
    except SimReconError as error:
        return {**out, "verdict": f"refused: {error.message}"}
    out |= {
        "verdict": found.verdict, "notes": list(found.notes), "beads": len(found.beads.used),
        "contrast": float(np.min(found.contrast)),
        "unexplained": float(np.max([s.unexplained for s in found.separations])),
        "steps_rad": max(off_equal_steps_rad(s.step_rad) for s in found.separations),
        "frequency_known": all(c is not None for c in found.carriers),
        "condition": max(s.condition for s in found.separations),
        "otf_error": otf_error(found, otf), "otf_sd": found.otf_sd,
    }  # fmt: skip
    if len(directions) == len(found.separations) and mode == kind.mode:
        true = np.array([d.modulation for d in directions])
        out |= {"step_error_deg": step_errors_deg(found, directions),
                "step_sd_deg": [float(v) for s in found.separations
                                for v in np.degrees(s.step_sd_rad)],
                "contrast_error": (found.contrast - true).ravel().tolist(),
                "contrast_sd": found.contrast_sd.ravel().tolist()}  # fmt: skip
    if found.light is not None:
        light = found.light
        out |= {"light": light.explained, "ends": light.at_ends,
                "spread_rad": axial_spread_rad(light)}  # fmt: skip
        if light.shift_per_um is not None and setup.optics.excitation_na:
            out["shift"] = light.shift_per_um / axial_shift_per_um(setup.optics) - 1.0
    return out


def _range(rows: list[dict[str, Any]], name: str) -> str:
    values = [r[name] for r in rows if name in r]
    if not values:
        return ""
    low, high = min(values), max(values)
    return f"{low:.3g}" if np.isclose(low, high) else f"{low:.3g}…{high:.3g}"


def _rms(rows: list[dict[str, Any]], name: str) -> float:
    values = [v for r in rows for v in r.get(name, [])]
    return float(np.sqrt(np.mean(np.square(values)))) if values else float("nan")


def merged(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Results of earlier runs with those of this one in their places, kind by kind."""
    path = RESULTS / "otf_gates.json"
    before = json.loads(path.read_text())["results"] if path.exists() else []
    every = {(r["kind"], r["seed"]): r for r in [*before, *found]}
    names = [kind.name for kind in KINDS]
    return [every[key] for key in sorted(every, key=lambda k: (names.index(k[0]), k[1]))]


def main() -> None:
    """Run all kinds, print a table, save the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--only", nargs="+", help="kinds whose names contain one of these")
    parser.add_argument("--no-save", action="store_true")
    args = parser.parse_args()
    numbers = ("contrast", "unexplained", "steps_rad", "light", "shift", "ends", "otf_error",
               "otf_sd")  # fmt: skip
    lines, every = [], []
    for kind in KINDS:
        if args.only and not any(text in kind.name for text in args.only):
            continue
        rows = [run(kind, seed) for seed in range(args.seeds)]
        every += rows
        lines.append(
            [
                kind.name,
                "/".join(str(r["verdict"]) for r in rows),
                *(_range(rows, n) for n in numbers),
                f"{_rms(rows, 'step_error_deg'):.2f} ({_rms(rows, 'step_sd_deg'):.2f})",
                f"{_rms(rows, 'contrast_error'):.4f} ({_rms(rows, 'contrast_sd'):.4f})",
            ]
        )
        print(lines[-1], flush=True)
    print(table(["kind", "verdict", *numbers, "steps off / ° (stated)", "contrast off (stated)"],
                lines))  # fmt: skip
    if not args.no_save:
        save("otf_gates", merged(every))


if __name__ == "__main__":
    main()

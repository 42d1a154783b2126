"""What measured OTFs are worth: SIM pictures with the true, the measured and the theoretical OTF.

    python benchmarks/bench_otf.py [--modes 2d 3d lls] [--seeds 1 2 3]

An aberrated objective (which theory does not know) takes SIM frames of beads and of an object.
The beads are measured; the object is reconstructed, with its true pattern, with each OTF. Errors
are against the object: nrmse after the best gain and offset, and the best gain per Fourier ring
("equalised", which filters' choices cancel in), of the inner planes. Asked: measured / true ≤ 1.3.
Most of these errors is what no OTF brings back; "beside" is the difference from the picture that
the true OTF gives, relative to it, after the best gain and offset. The contrasts are scaled to each
OTF's orders, as a fit would do.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from common import RESULTS, save, table

from calibration.otf.measure import OtfMeasurement, measure_otf
from calibration.otf.settings import OtfSettings
from calibration.psf.settings import BeadSetup
from simrecon import pipeline
from simrecon.config import build_settings
from simrecon.model.camera import Camera
from simrecon.model.optics import Optics
from simrecon.model.pattern import DirectionPattern, PatternFit
from simrecon.model.psf import AnyOTF, GridVolumeOTF, RadialVolumeOTF
from simrecon.physics.illumination import regular_directions
from simrecon.physics.otf import theoretical_otf
from simrecon.physics.otf_volume import evaluate_volume_otf
from simrecon.physics.pupil_volume import (
    pupil_planar_otf,
    pupil_volume_otf,
    three_beam_profiles,
)
from simrecon.physics.simulate import simulate
from simrecon.physics.simulate_beads import scattered_beads
from simrecon.physics.simulate_sim_beads import lit_beads, simulate_sim_beads
from simrecon.physics.simulate_volume import LATTICE, OPTICS_3D, OPTICS_LLS, simulate_volume
from simrecon.physics.simulate_volume_light import light_of, lit_directions
from simrecon.physics.theory_volume import theoretical_volume_otf
from simrecon.qc.metrics import equalised_psnr, nrmse, psnr

ABERRATIONS = {
    "round": {11: 60.0},
    "mixed": {5: 25.0, 7: 25.0, 11: 40.0},
}
BEAD_UM = 0.1
CAMERA = Camera(2.0, 100.0, 1.5)


@dataclass(frozen=True)
class Case:
    """A microscope."""

    mode: str
    optics: Optics
    pixel_um: float
    dz_um: float | None
    bead_shape: tuple[int, int, int]
    shape: tuple[int, int, int]
    spacing_um: float


CASES = {
    "2d": Case("2d", Optics(1.4, 525.0, excitation_nm=488.0), 0.065, None, (1, 192, 192),
               (1, 192, 192), 2.5),
    "3d": Case("3d", OPTICS_3D, 0.08, 0.125, (25, 176, 176), (16, 80, 80), 4.0),
    "lls": Case("lls", OPTICS_LLS, 0.104, 0.15, (41, 160, 160), (20, 80, 80), 4.0),
}  # fmt: skip


def true_otf(case: Case, aberrations: dict[int, float]) -> AnyOTF:
    if case.dz_um is None:
        return pupil_planar_otf(case.optics, pixel_um=case.pixel_um, aberrations_nm=aberrations)
    light = LATTICE.profiles() if case.mode == "lls" else three_beam_profiles(case.optics)
    return pupil_volume_otf(case.optics, light, pixel_um=case.pixel_um, dz_um=case.dz_um,
                            aberrations_nm=aberrations)  # fmt: skip


def theory(case: Case) -> AnyOTF:
    if case.dz_um is None:
        return theoretical_otf(case.optics, pixel_um=case.pixel_um)
    light = LATTICE.profiles() if case.mode == "lls" else "three-beam"
    return theoretical_volume_otf(case.optics, illumination=light, pixel_um=case.pixel_um)


def bead_recording(
    case: Case, otf: AnyOTF, peak_e: float, seed: int
) -> tuple[np.ndarray, tuple[DirectionPattern, ...]]:
    """Counts (A, P, Z, Y, X) and the pattern."""
    rng = np.random.default_rng(seed)
    if case.dz_um is None:
        directions = regular_directions(rng, directions=3, phases=3, period_um=0.22,
                                        modulation=(0.8, 0.7, 0.6), first_angle_rad=0.25,
                                        phase_jitter_rad=0.03)  # fmt: skip
    else:
        frequency, contrast, _ = light_of(case.mode, case.optics, LATTICE, 0.0)
        directions = lit_directions(
            rng, 1 if case.mode == "lls" else 3, 5, frequency, contrast=contrast,
            first_angle_rad=0.0 if case.mode == "lls" else 0.25, phase_step_um=None,
            phase_jitter_rad=0.03,
        )  # fmt: skip
    beads = scattered_beads(case.bead_shape, pixel_um=case.pixel_um, dz_um=case.dz_um or 1.0,
                            optics=case.optics, bead_um=BEAD_UM, peak_e=1.0,
                            spacing_um=case.spacing_um, seed=seed)  # fmt: skip
    if case.dz_um is None:
        beads = [replace(b, position_um=(0.0, *b.position_um[1:])) for b in beads]
    window = {"pixel_um": case.pixel_um, "bead_um": BEAD_UM}
    window |= {"dz_um": case.dz_um} if case.dz_um else {}
    beads = lit_beads(beads, peak_e, otf, **window)
    frames = simulate_sim_beads(beads, directions, otf, shape=case.bead_shape,
                                pixel_um=case.pixel_um, dz_um=case.dz_um, bead_um=BEAD_UM,
                                background_e=5.0, camera=CAMERA, seed=seed)  # fmt: skip
    return frames, tuple(directions)


def errors(case: Case, truth: AnyOTF, otfs: dict[str, AnyOTF], seed: int) -> dict[str, Any]:
    """Errors of the pictures with each OTF."""
    if case.dz_um is None:
        stack, known = simulate(shape=case.shape[1:], pixel_um=case.pixel_um, optics=case.optics,
                                otf=truth, period_um=0.22, peak_e=1000.0, kind="mixed",
                                modulation=(0.8, 0.7, 0.6), seed=seed)  # fmt: skip
        settings, planes = None, slice(0, 1)
        objects = known.object_e[None]
    else:
        stack, known = simulate_volume(mode=case.mode, shape=case.shape, pixel_um=case.pixel_um,
                                       dz_um=case.dz_um, optics=case.optics, otf=truth,
                                       kind="mixed", peak_e=1000.0, seed=seed)  # fmt: skip
        settings = build_settings(("benchmark", {"mode": case.mode, "variance": False}))
        planes = slice(3, -3)
        objects = known.object_e
    pattern = replace(known.pattern, verdict="ok")
    out: dict[str, Any] = {}
    best = None
    for name, otf in otfs.items():
        made = pipeline.reconstruct(stack, settings, otf=otf, pattern=scaled(pattern, truth, otf))
        picture = made.image[0, 0].reshape(objects.shape)[planes]
        best = picture if best is None else best
        pairs = list(zip(picture, objects[planes], strict=True))
        out[name] = {
            "beside": float(np.mean([nrmse(p, b, margin_px=12)
                                     for p, b in zip(picture, best, strict=True)])),
            "nrmse": float(np.mean([nrmse(p, o, margin_px=12) for p, o in pairs])),
            "equalised": float(np.mean([
                nrmse(p, o, margin_px=12) * 10 ** (0.05 * (psnr(p, o, margin_px=12)
                                                           - equalised_psnr(p, o, margin_px=12)))
                for p, o in pairs])),
        }  # fmt: skip
    return out


def scaled(pattern: PatternFit, truth: AnyOTF, otf: AnyOTF) -> PatternFit:
    """The pattern with contrasts that make every order as strong as under the true OTF."""
    if not isinstance(otf, RadialVolumeOTF | GridVolumeOTF):
        return pattern
    kz = np.linspace(-2.5, 2.5, 41)[:, None, None]
    ky = np.linspace(-4.0, 4.0, 33)[None, :, None]
    kx = np.linspace(-4.0, 4.0, 33)[None, None, :]
    factors = []
    for order in range(1, otf.orders):
        one, other = (evaluate_volume_otf(o, order, kz, ky, kx) for o in (truth, otf))
        zeros = [evaluate_volume_otf(o, 0, kz, ky, kx) for o in (truth, otf)]
        per_zero = np.abs(np.vdot(zeros[1], zeros[0])) / np.sum(np.abs(zeros[1]) ** 2)
        factors.append(np.abs(np.vdot(other, one)) / np.sum(np.abs(other) ** 2) / per_zero)
    directions = tuple(
        replace(d, modulation=tuple(float(m * f) for m, f in zip(d.modulation, factors,
                                                                 strict=True)))
        for d in pattern.directions
    )  # fmt: skip
    return replace(pattern, directions=directions)


def _cell(ratio: dict[str, float]) -> str:
    return f"{ratio['nrmse']:.3f}, {ratio['equalised']:.3f}, {100 * ratio['beside']:.1f} %"


def measured(case: Case, frames: np.ndarray) -> OtfMeasurement:
    """With full arrays; without them (``psfs=None``) it is the radial one."""
    setup = BeadSetup(case.pixel_um, case.dz_um, case.optics, BEAD_UM)
    return measure_otf([frames], setup, OtfSettings(case.mode, full=True))  # type: ignore[arg-type]


def step_errors_deg(found: OtfMeasurement, directions: Sequence[DirectionPattern]) -> list[float]:
    """Of the phase steps of all directions, what they have in common taken off."""
    off = [np.exp(1j * (one.step_rad - np.array(true.phase_rad)))
           for one, true in zip(found.separations, directions, strict=True)]  # fmt: skip
    return [float(v) for o in off for v in np.degrees(np.angle(o * np.conj(o.sum())))]


def run(mode: str, kind: str, seed: int, bead_peak_e: float) -> dict[str, Any]:
    case = CASES[mode]
    truth = true_otf(case, ABERRATIONS[kind])
    frames, directions = bead_recording(case, truth, bead_peak_e, seed)
    full = measured(case, frames)
    otfs = {"true": truth, "radial": replace(full, psfs=None).otf(), "full": full.otf(),
            "theory": theory(case)}  # fmt: skip
    found = errors(case, truth, otfs, seed + 100)
    true = found["true"]
    ratios = {f"{name} / true": {k: v / true[k] if k != "beside" else v for k, v in one.items()}
              for name, one in found.items() if name != "true"}  # fmt: skip
    return {"mode": mode, "aberrations_nm": ABERRATIONS[kind], "kind": kind, "seed": seed,
            "beads": len(full.beads.used), "bead_peak_e": bead_peak_e,
            "model": full.model, "verdict": full.verdict, "notes": list(full.notes),
            "step_error_deg": step_errors_deg(full, directions),
            "step_sd_deg": [float(v) for s in full.separations for v in np.degrees(s.step_sd_rad)],
            "errors": found, "ratios": ratios}  # fmt: skip


def merged(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Results of earlier runs with those of this one in their places."""
    path = RESULTS / "otf.json"
    before = json.loads(path.read_text())["results"] if path.exists() else []
    every = {(r["mode"], r["kind"], r["seed"]): r for r in [*before, *found]}
    return [every[key] for key in sorted(every, key=str)]


def main() -> None:
    """Measure, print a table, save the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--modes", nargs="+", default=list(CASES))
    parser.add_argument("--kinds", nargs="+", default=list(ABERRATIONS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--bead-peak-e", type=float, default=1000.0)
    parser.add_argument("--no-save", action="store_true")
    args = parser.parse_args()
    found = []
    for mode in args.modes:
        for kind in args.kinds:
            for seed in args.seeds:
                one = run(mode, kind, seed, args.bead_peak_e)
                found.append(one)
                if not args.no_save:
                    save("otf", merged([one]))
                print(mode, kind, seed, one["verdict"], one["beads"], {
                    name: {k: round(v, 3) for k, v in r.items()}
                    for name, r in one["ratios"].items()}, flush=True)  # fmt: skip
    names = ("radial / true", "full / true", "theory / true")
    rows = [[r["mode"], r["kind"], r["seed"], r["beads"], r["verdict"],
             f"{r['errors']['true']['equalised']:.4f}",
             *(_cell(r["ratios"][n]) for n in names)]
            for r in found]  # fmt: skip
    print(table(["mode", "aberrations", "seed", "beads", "verdict", "error (true OTF)", *names],
                rows))  # fmt: skip


if __name__ == "__main__":
    main()

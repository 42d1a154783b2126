"""An OTF measurement as a record, as JSON facts, as text and as HTML sections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from calibration.otf.figures import beads_figure, light_figure, otf_figure
from calibration.otf.measure import OtfMeasurement
from calibration.psf.report import bead_facts, rejected_lines
from calibration.record import dated
from calibration.report import Section
from simrecon.io import CalibrationRecord, Quantity


def facts(found: OtfMeasurement) -> dict[str, Any]:
    """Everything but the arrays, JSON-ready."""
    out: dict[str, Any] = {
        "verdict": found.verdict, "notes": list(found.notes), "mode": found.settings.mode,
        "model": found.model, "form": "full" if found.psfs is not None else "radial",
        "setup": asdict(found.setup), "settings": asdict(found.settings),
        "beads_used": len(found.beads.used), "beads": bead_facts(found.beads),
        "directions": [_direction(found, a) for a in range(len(found.separations))],
    }  # fmt: skip
    if found.light is not None:
        light = found.light
        out["light"] = {"shift_per_um": light.shift_per_um,
                        "axial_phase_rad": light.axial_phase_rad,
                        "explained": light.explained}  # fmt: skip
    if found.detection is not None:
        fit = found.detection.fit
        out["pupil"] = {"verdict": fit.verdict, "note": fit.note, "chi2": fit.chi2,
                        "wavefront_rms_nm": fit.rms_nm, "aberrations": fit.named()}  # fmt: skip
    return out


def _direction(found: OtfMeasurement, number: int) -> dict[str, Any]:
    one, carrier = found.separations[number], found.carriers[number]
    out: dict[str, Any] = {
        "contrast": found.contrast[number], "contrast_sd": found.contrast_sd[number],
        "phase_step_rad": one.step_rad,
        "phase_step_sd_rad": one.step_sd_rad, "intensity": one.intensity,
        "bead_phase_rad": one.phase_rad, "unexplained": one.unexplained,
        "condition": one.condition,
    }  # fmt: skip
    if carrier is not None:
        out |= {"frequency_per_um": carrier.frequency_per_um,
                "frequency_sd_per_um": carrier.sd_per_um,
                "bead_phase_scatter_rad": carrier.scatter_rad}  # fmt: skip
    return out


def to_record(
    found: OtfMeasurement,
    *,
    instrument: str = "",
    conditions: Mapping[str, Any] | None = None,
    valid_days: float = 365.0,
    sources: Sequence[Mapping[str, Any]],
    provenance: Mapping[str, Any],
) -> CalibrationRecord:
    """The measurement as a calibration record of kind "otf"."""
    optics = found.setup.optics
    return CalibrationRecord(
        kind="otf", quantities=_quantities(found), instrument=instrument,
        **dated(valid_days),
        conditions={**(conditions or {}), "mode": found.settings.mode, "na": optics.na,
                    "emission_nm": optics.emission_nm, "index": optics.immersion_index,
                    "pixel_um": found.setup.pixel_um, "bead_um": found.setup.bead_um},
        results=facts(found), sources=tuple(sources), provenance=provenance,
        notes=found.notes, verdict=found.verdict,
    )  # fmt: skip


def _quantities(found: OtfMeasurement) -> dict[str, Quantity]:
    table = found.table
    meaning = "OTF of every order over (kr, kz), kz in FFT order, order 0 is 1 at 0: "
    steps = np.stack([s.step_rad for s in found.separations])
    out = {
        "otf_real": Quantity(np.real(table.values), "", found.otf_sd, meaning + "real part"),
        "otf_imag": Quantity(np.imag(table.values), "", found.otf_sd, meaning + "imaginary part"),
        "kr_step_per_um": Quantity(table.kr_step_per_um, "1/µm", None, "step of kr"),
        "kz_step_per_um": Quantity(table.kz_step_per_um, "1/µm", None, "step of kz; 0: a plane"),
        "pixel_um": Quantity(found.setup.pixel_um, "µm", None, "camera pixel in the sample"),
        "contrast": Quantity(found.contrast, "", found.contrast_sd,
                             "modulation, per direction and order"),
        "phase_step_rad": Quantity(steps, "rad",
                                   np.stack([s.step_sd_rad for s in found.separations]),
                                   "phases of the frames against the first one, per direction"),
    }  # fmt: skip
    if found.setup.dz_um is not None:
        out["dz_um"] = Quantity(found.setup.dz_um, "µm", None, "distance between planes")
    if found.detection is not None:
        fit = found.detection.fit
        out["aberrations_nm"] = Quantity(
            np.array(list(fit.aberrations_nm.values())), "nm",
            np.array(list(fit.aberrations_sd_nm.values())),
            f"rms wavefront of Noll's Zernike terms {', '.join(map(str, fit.aberrations_nm))}",
        )  # fmt: skip
    if found.psfs is not None:
        about = "PSFs (directions, orders, Z, Y, X), focus on the middle voxel: "
        out["psf_real"] = Quantity(np.real(found.psfs).astype(np.float32), "", None,
                                   about + "real part")  # fmt: skip
        out["psf_imag"] = Quantity(np.imag(found.psfs).astype(np.float32), "", None,
                                   about + "imaginary part")  # fmt: skip
    if found.light is not None:
        light = found.light
        out["light_reach_per_um"] = Quantity(
            np.array(found.light_per_um),
            "1/µm",
            None,
            "how far the light of every order reaches along kz",
        )
        out["light_distance_um"] = Quantity(
            light.distance_um, "µm", None, "distance from the focal plane, deeper positive"
        )
        for name, part in (("light_real", light.each.real), ("light_imag", light.each.imag)):
            out[name] = Quantity(part, "", None, "light along z, (directions, orders, distances), "
                                 "contrast included")  # fmt: skip
    carriers = [c for c in found.carriers if c is not None]
    if len(carriers) == len(found.carriers):
        out["frequency_per_um"] = Quantity(
            np.array([c.frequency_per_um for c in carriers]), "1/µm",
            np.array([c.sd_per_um for c in carriers]), "fundamental (fy, fx) per direction",
        )  # fmt: skip
    return out


def to_text(found: OtfMeasurement) -> str:
    """What people read on the terminal."""
    lines = rejected_lines(found.beads)
    for a, one in enumerate(found.separations):
        steps = ", ".join(f"{np.degrees(v):.1f}°" for v in one.step_rad)
        contrast = ", ".join(
            f"order {m} {v:.3f} ± {sd:.3f}"
            for m, (v, sd) in enumerate(
                zip(found.contrast[a], found.contrast_sd[a], strict=True), 1
            )
        )
        lines.append(f"direction {a + 1}: contrast {contrast}; phases {steps} "
                     f"(± {np.degrees(one.step_sd_rad.mean()):.1f}°)")  # fmt: skip
        carrier = found.carriers[a]
        if carrier is not None:
            fy, fx = carrier.frequency_per_um
            lines.append(f"  period {1e3 / carrier.size_per_um:.1f} nm at "
                         f"{np.degrees(np.arctan2(fy, fx)):.2f}°; beads lie "
                         f"{np.degrees(carrier.scatter_rad):.1f}° rms beside it")  # fmt: skip
    if found.light is not None and found.light.shift_per_um is not None:
        lines.append(f"light along z: order 1 at kz ± {found.light.shift_per_um:.3f} per µm, phase "
                     f"in focus {np.degrees(found.light.axial_phase_rad or 0.0):.0f}°")  # fmt: skip
    if found.detection is not None:
        lines.append(f"wavefront: {found.detection.fit.rms_nm:.1f} nm rms")
        for name, value in found.detection.fit.named().items():
            lines.append(f"  {name}: {value['rms_nm']:+.1f} ± {value['sd_nm']:.1f} nm")
    lines.append(f"OTF from {_MODELS[found.model]}, ± {found.otf_sd:.2g}, "
                 + ("full arrays" if found.psfs is not None else "radial means"))  # fmt: skip
    lines += [f"note: {text}" for text in found.notes]
    lines.append(f"verdict: {found.verdict}")
    return "\n".join(lines)


_MODELS = {"pupil": "a pupil fitted to the beads", "measured": "the mean beads themselves"}


def sections(found: OtfMeasurement) -> list[Section]:
    """The parts of the HTML report."""
    rows = [(str(a + 1),
             ", ".join(f"{v:.3f} ± {sd:.3f}" for v, sd in zip(found.contrast[a],
                                                              found.contrast_sd[a], strict=True)),
             ", ".join(f"{v:.1f} ± {sd:.1f}" for v, sd in zip(np.degrees(one.step_rad),
                                                              np.degrees(one.step_sd_rad),
                                                              strict=True)),
             ", ".join(f"{v:.3f}" for v in one.intensity), f"{100 * one.unexplained:.1f} %")
            for a, one in enumerate(found.separations)]  # fmt: skip
    out = [
        Section("OTF", f"From {_MODELS[found.model]}.", figure=otf_figure(found)),
        Section("Pattern", header=("direction", "contrast of the orders", "phases / °",
                                   "brightness", "unexplained"), rows=rows),
        Section("Beads", figure=beads_figure(found)),
    ]  # fmt: skip
    if found.light is not None:
        out.insert(1, Section("Light along z", "Points: measured, every direction. Lines: model.",
                              figure=light_figure(found)))  # fmt: skip
    table = [(b["stack"], *(f"{p:.2f}" for p in b["position_px"]), f"{b['snr']:.0f}",
              "used" if b["used"] else f"{b['kind']}: {b['reason']}")
             for b in bead_facts(found.beads)]  # fmt: skip
    out.append(Section("All spots", header=("stack", "z", "y", "x", "signal/noise", "verdict"),
                       rows=table))  # fmt: skip
    return out

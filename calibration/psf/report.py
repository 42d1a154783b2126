"""A bead measurement as a record, as JSON facts, as text and as HTML sections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from calibration.psf.fieldmap import LEAST_BEADS
from calibration.psf.figures import (
    aberrations_figure,
    field_figure,
    profiles_figure,
    sections_figure,
)
from calibration.psf.measure import PsfMeasurement
from calibration.psf.width import Widths
from calibration.record import dated
from calibration.report import Section
from simrecon.io import CalibrationRecord, Quantity

_AXES = ("z", "y", "x")


def facts(found: PsfMeasurement) -> dict[str, Any]:
    """Everything but the arrays, JSON-ready."""
    setup = found.setup
    out: dict[str, Any] = {
        "verdict": found.verdict,
        "notes": list(found.notes),
        "setup": asdict(setup),
        "settings": asdict(found.settings),
        "expected_fwhm_nm": {"limit": 1e3 * found.expected.limit_um,
                             "lateral": 1e3 * found.expected.lateral_um,
                             "axial": 1e3 * found.expected.axial_um},
        "fwhm_nm": {
            "mean bead": _widths(found.widths, found.width_sd_um),
            "corrected for the bead size": _widths(found.compensated_widths),
            **({} if found.fit_widths is None else {"fitted PSF": _widths(found.fit_widths)}),
        },
        "noise": asdict(found.noise),
        "beads_used": len(found.used),
        "scatter_over_noise": found.aligned.scatter,
        "field": {name: asdict(trend) for name, trend in found.trends.items()},
        "beads": bead_facts(found),
    }  # fmt: skip
    if found.fit is not None:
        fit = found.fit
        out["fit"] = {"verdict": fit.verdict, "note": fit.note, "chi2": fit.chi2,
                      "explained": fit.explained, "wavefront_rms_nm": fit.rms_nm,
                      "aberrations": fit.named(), "values": fit.values, "sd": fit.sd}  # fmt: skip
    return out


def _widths(widths: Widths, sd: Sequence[float] = (np.nan, np.nan, np.nan)) -> dict[str, Any]:
    return {axis: {"gaussian": 1e3 * widths.gaussian[i], "sd": 1e3 * sd[i],
                   "half_maximum": 1e3 * widths.half_maximum[i]}
            for i, axis in enumerate(_AXES) if np.isfinite(widths.gaussian[i])}  # fmt: skip


def bead_facts(found: PsfMeasurement) -> list[dict[str, Any]]:
    """One entry per spot: where, how bright, used or why not; used ones with what was measured."""
    out, used = [], 0
    for bead in found.beads:
        entry: dict[str, Any] = {
            "stack": bead.spot.stack, "position_px": list(bead.spot.position_px),
            "snr": bead.spot.snr, "used": not bead.kind, "kind": bead.kind,
            "reason": bead.reason,
        }  # fmt: skip
        if not bead.kind:
            aligned = found.aligned
            entry |= {
                "position_px": aligned.positions_px[used].tolist(),
                "position_sd_px": aligned.position_sd_px[used].tolist(),
                "relative_flux": float(aligned.amplitudes[used]),
                "chi2": float(aligned.chi2[used]),
                "fwhm_nm": (1e3 * found.bead_widths_um[used]).tolist(),
            }
            used += 1
        out.append(entry)
    return out


def to_record(
    found: PsfMeasurement,
    *,
    instrument: str = "",
    conditions: Mapping[str, Any] | None = None,
    valid_days: float = 365.0,
    sources: Sequence[Mapping[str, Any]],
    provenance: Mapping[str, Any],
) -> CalibrationRecord:
    """The measurement as a calibration record of kind "psf"."""
    setup, optics = found.setup, found.setup.optics
    wide = [i for i in range(3) if np.isfinite(found.widths.gaussian[i])]
    sd = np.array(found.width_sd_um)[wide]
    along = ", ".join(_AXES[i] for i in wide)
    quantities = {
        "psf": Quantity(found.psf(), "", None, "point source in the camera's pixels, brightest "
                        "plane sum 1: fitted pupil, or mean bead where the fit failed"),
        "mean_bead": Quantity(found.aligned.mean, "ADU", found.aligned.standard_error,
                              "noise-weighted mean of the aligned beads, without background"),
        "fwhm_um": Quantity(np.array(found.widths.gaussian)[wide], "µm",
                            sd if np.isfinite(sd).all() else None,
                            f"Gaussian FWHM of the mean bead along {along}"),
        "pixel_um": Quantity(setup.pixel_um, "µm", None, "camera pixel in the sample"),
    }  # fmt: skip
    if setup.dz_um is not None:
        quantities["dz_um"] = Quantity(setup.dz_um, "µm", None, "distance between planes")
    if found.fit is not None:
        fit = found.fit
        quantities["aberrations_nm"] = Quantity(
            np.array(list(fit.aberrations_nm.values())), "nm",
            np.array(list(fit.aberrations_sd_nm.values())),
            f"rms wavefront of Noll's Zernike terms {', '.join(map(str, fit.aberrations_nm))}",
        )  # fmt: skip
    return CalibrationRecord(
        kind="psf", quantities=quantities, instrument=instrument,
        **dated(valid_days),
        conditions={**(conditions or {}),
                    "na": optics.na, "emission_nm": optics.emission_nm,
                    "index": optics.immersion_index, "pixel_um": setup.pixel_um,
                    "dz_um": setup.dz_um, "bead_um": setup.bead_um},
        results=facts(found), sources=tuple(sources), provenance=provenance,
        notes=found.notes, verdict=found.verdict,
    )  # fmt: skip


def to_text(found: PsfMeasurement) -> str:
    """What people read on the terminal."""
    lines = rejected_lines(found)
    rows = [("mean bead", found.widths, found.width_sd_um),
            ("mean bead, its size taken out", found.compensated_widths, None)]  # fmt: skip
    if found.fit_widths is not None:
        rows.append(("fitted PSF", found.fit_widths, None))
    for name, widths, sd in rows:
        lines.append(f"FWHM of the {name}: {_width_text(widths, sd)}")
    lines.append(
        f"an unaberrated objective gives {1e3 * found.expected.lateral_um:.0f} nm laterally, "
        f"{1e3 * found.expected.axial_um:.0f} nm axially (bead and pixel included)"
    )
    if found.fit is not None:
        lines.append(f"wavefront: {found.fit.rms_nm:.1f} nm rms")
        for name, value in found.fit.named().items():
            lines.append(f"  {name}: {value['rms_nm']:+.1f} ± {value['sd_nm']:.1f} nm "
                         f"({value['rms_rad']:+.3f} ± {value['sd_rad']:.3f} rad)")  # fmt: skip
        for name in ("na", "depth_um", "apodisation", "blur_um2"):
            if name in found.fit.values:
                lines.append(f"  {name}: {found.fit.values[name]:.4g} ± {found.fit.sd[name]:.2g}")
    lines += [f"note: {text}" for text in found.notes]
    lines += [f"field: {text}" for text in field_texts(found)]
    lines.append(f"verdict: {found.verdict}")
    return "\n".join(lines)


def rejected_lines(found: PsfMeasurement) -> list[str]:
    """How many beads were used, and why the others were not."""
    rejected = [b for b in found.beads if b.kind not in ("", "halo")]
    halo = sum(b.kind == "halo" for b in found.beads)
    lines = [f"beads: {len(found.used)} used, {len(rejected)} rejected, {halo} weak spots in the "
             "halo of brighter beads left out"]  # fmt: skip
    for bead in rejected[:20]:
        z, y, x = bead.spot.position_px
        lines.append(f"  rejected at z {z:.1f} y {y:.1f} x {x:.1f}: {bead.kind}: {bead.reason}")
    if len(rejected) > 20:
        lines.append(f"  … and {len(rejected) - 20} more, all in the JSON file")
    return lines


def _width_text(widths: Widths, sd: Sequence[float] | None) -> str:
    parts = []
    for i in (1, 2, 0):
        if np.isfinite(widths.gaussian[i]):
            error = f" ± {1e3 * sd[i]:.1f}" if sd is not None and np.isfinite(sd[i]) else ""
            parts.append(f"{_AXES[i]} {1e3 * widths.gaussian[i]:.1f}{error} nm")
    return ", ".join(parts)


def field_texts(found: PsfMeasurement) -> list[str]:
    """One sentence per quantity on whether it changes over the field."""
    if not found.trends:
        return [f"{LEAST_BEADS} beads are needed to tell a change over the field; "
                f"{len(found.used)} used."]  # fmt: skip
    return [
        f"{name} {trend.mean:.4g}, between beads ± {trend.scatter:.2g}: "
        + ("changes" if trend.significant else "no significant change")
        + f" over the field (p = {trend.p_value:.2g}; y {trend.slope_per_100um[0]:+.3g} ± "
        f"{trend.slope_sd_per_100um[0]:.2g}, x {trend.slope_per_100um[1]:+.3g} ± "
        f"{trend.slope_sd_per_100um[1]:.2g} per 100 µm)"
        for name, trend in found.trends.items()
    ]


def sections(found: PsfMeasurement, stack: np.ndarray) -> list[Section]:
    """The parts of the HTML report; `stack` is the first bead stack, (Z, Y, X)."""
    widths = [("mean bead", found.widths, found.width_sd_um),
              ("mean bead, its size taken out", found.compensated_widths, None)]  # fmt: skip
    if found.fit_widths is not None:
        widths.append(("fitted PSF (point, camera pixel)", found.fit_widths, None))
    rows = [(name, _width_text(w, sd)) for name, w, sd in widths]
    rows.append(("unaberrated objective, with bead and pixel",
                 f"lateral {1e3 * found.expected.lateral_um:.0f} nm, "
                 f"axial {1e3 * found.expected.axial_um:.0f} nm"))  # fmt: skip
    out = [
        Section("Width (Gaussian FWHM)", header=("", "FWHM"), rows=rows,
                figure=profiles_figure(found)),
        Section("Point-spread function", "Display: square root of the intensity.",
                figure=sections_figure(found)),
    ]  # fmt: skip
    if found.fit is not None:
        out.append(_fit_section(found))
    out.append(Section("Field of view", " ".join(field_texts(found)),
                       figure=field_figure(found, stack)))  # fmt: skip
    table = [
        (b["stack"], *(f"{p:.2f}" for p in b["position_px"]), f"{b['snr']:.0f}",
         "used" if b["used"] else f"{b['kind']}: {b['reason']}")
        for b in bead_facts(found)
    ]  # fmt: skip
    header = ("stack", "plane", "row", "column", "signal / noise", "what became of it")
    out.append(Section("Beads", header=header, rows=[tuple(map(str, r)) for r in table]))
    return out


def _fit_section(found: PsfMeasurement) -> Section:
    assert found.fit is not None
    rows = [
        (name, str(v["noll"]), f"{v['rms_nm']:+.2f} ± {v['sd_nm']:.2f}",
         f"{v['rms_rad']:+.4f} ± {v['sd_rad']:.4f}")
        for name, v in found.fit.named().items()
    ]  # fmt: skip
    return Section("Pupil", f"{found.fit.note} Wavefront {found.fit.rms_nm:.1f} nm rms.",
                   ("aberration", "Noll", "nm rms", "rad rms"), rows,
                   aberrations_figure(found))  # fmt: skip

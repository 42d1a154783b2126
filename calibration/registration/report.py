"""A registration as a record, as JSON facts, as text and as HTML sections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from calibration.record import dated
from calibration.registration.figures import residual_figure
from calibration.registration.fit import AffineFit
from calibration.registration.measure import ChannelMap, Registration
from calibration.report import Section
from simrecon.io import CalibrationRecord, Quantity
from simrecon.model.affine import Affine2D


@dataclass(frozen=True)
class _Summary:
    """Numbers that people ask for."""

    shift_nm: tuple[float, float]
    turn_deg: float
    magnification: float
    mirrored: bool


def _summary(one: Affine2D, centre_um: np.ndarray) -> _Summary:
    moved = 1e3 * (one(centre_um) - centre_um)
    return _Summary((float(moved[0]), float(moved[1])), float(np.degrees(one.rotation_rad)),
                    one.magnification, one.determinant < 0)  # fmt: skip


def facts(found: Registration) -> dict[str, Any]:
    """Everything, JSON-ready."""
    return {
        "verdict": found.verdict,
        "notes": list(found.notes),
        "pixel_um": found.pixel_um,
        "shape": list(found.shape),
        "reference_nm": found.channels[found.reference].emission_nm,
        "channels": [_channel_facts(c, found) for c in found.channels],
    }


def _channel_facts(channel: ChannelMap, found: Registration) -> dict[str, Any]:
    rejected: dict[str, int] = {}
    for one in channel.beads:
        for kind, count in one.rejected.items():
            rejected[kind] = rejected.get(kind, 0) + count
    out: dict[str, Any] = {
        "emission_nm": channel.emission_nm,
        "beads": sum(len(b.sd_um) for b in channel.beads),
        "rejected": rejected,
        "matrix": channel.affine.matrix,
        "shift_um": channel.affine.shift_um,
    }
    fit = channel.fit
    if fit is not None and channel.matched is not None:
        about = _summary(channel.affine, found.corners_um.mean(axis=0))
        out |= {
            "common_beads": fit.count,
            "outliers": channel.matched.outliers,
            "residual_nm": fit.residual_nm,
            "residual_sd_nm": fit.residual_sd_nm,
            "error_centre_nm": float(fit.error_nm(found.corners_um.mean(axis=0))),
            "error_corner_nm": float(fit.error_nm(found.corners_um).max()),
            "chi2": fit.chi2,
            "shift_at_centre_nm": about.shift_nm,
            "rotation_deg": about.turn_deg,
            "magnification": about.magnification,
            "mirrored": about.mirrored,
            "pairs": [
                {"position_um": p.tolist(), "left_out_nm": (1e3 * r).tolist(), "sd_nm": 1e3 * s}
                for p, r, s in zip(fit.points_um, fit.left_out_um, fit.sd_um, strict=True)
            ],
        }
    return out


def to_record(
    found: Registration,
    *,
    instrument: str = "",
    conditions: Mapping[str, Any] | None = None,
    valid_days: float = 90.0,
    sources: Sequence[Mapping[str, Any]],
    provenance: Mapping[str, Any],
) -> CalibrationRecord:
    """The measurement as a calibration record of kind "registration"."""
    maps = [c.affine for c in found.channels]
    sd = [_errors(c.fit) for c in found.channels]
    residual = np.array([0.0 if c.fit is None else c.fit.residual_nm for c in found.channels])
    residual_sd = np.array([0.0 if c.fit is None else c.fit.residual_sd_nm for c in found.channels])
    quantities = {
        "emission_nm": Quantity(np.array([c.emission_nm for c in found.channels]), "nm", None,
                                "emission wavelength of each channel"),
        "matrix": Quantity(np.array([m.matrix for m in maps]), "",
                           np.array([s[0] for s in sd]),
                           "r(reference) = matrix r + shift, r = (y, x) from pixel (0, 0)"),
        "shift_um": Quantity(np.array([m.shift_um for m in maps]), "µm",
                             np.array([s[1] for s in sd]), "see matrix"),
        "residual_nm": Quantity(residual, "nm", residual_sd,
                                "rms distance of beads left out of the map"),
        "pixel_um": Quantity(found.pixel_um, "µm", None, "camera pixel in the sample"),
        "shape": Quantity(np.array(found.shape, float), "px", None, "rows and columns"),
    }  # fmt: skip
    return CalibrationRecord(
        kind="registration", quantities=quantities, instrument=instrument,
        **dated(valid_days),
        conditions={**(conditions or {}), "pixel_um": found.pixel_um},
        results=facts(found), sources=tuple(sources), provenance=provenance,
        notes=found.notes, verdict=found.verdict,
    )  # fmt: skip


def _errors(fit: AffineFit | None) -> tuple[np.ndarray, np.ndarray]:
    """Standard deviations of the matrix and of the shift at pixel (0, 0)."""
    if fit is None:
        return np.zeros((2, 2)), np.zeros(2)
    slope = np.sqrt(np.diag(fit.covariance)[1:])
    shift = float(fit.error_nm(np.zeros(2))) / 1e3 / np.sqrt(2.0)
    return np.tile(slope, (2, 1)), np.full(2, shift)


def to_text(found: Registration) -> str:
    """What people read on the terminal."""
    reference = found.channels[found.reference]
    lines = [f"reference: {reference.emission_nm:g} nm, "
             f"{sum(len(b.sd_um) for b in reference.beads)} beads"]  # fmt: skip
    for channel in found.channels:
        fit = channel.fit
        if fit is None:
            continue
        about = _summary(channel.affine, found.corners_um.mean(axis=0))
        mirror = ", mirrored" if about.mirrored else ""
        lines += [
            f"{channel.emission_nm:g} nm: shift at the centre y {about.shift_nm[0]:+.1f} x "
            f"{about.shift_nm[1]:+.1f} nm, turn {about.turn_deg:+.3f}°, magnification "
            f"{about.magnification:.5f}{mirror}",
            f"  {fit.count} common beads; residual of beads left out {fit.residual_nm:.1f} ± "
            f"{fit.residual_sd_nm:.1f} nm; error of the map "
            f"{float(fit.error_nm(found.corners_um.mean(axis=0))):.1f} nm at the centre, "
            f"{float(fit.error_nm(found.corners_um).max()):.1f} nm at the worst corner",
        ]
    lines += [f"note: {text}" for text in found.notes]
    lines.append(f"verdict: {found.verdict}")
    return "\n".join(lines)


def sections(found: Registration) -> list[Section]:
    """The parts of the HTML report."""
    out = []
    for channel in found.channels:
        fit = channel.fit
        if fit is None:
            continue
        f = _channel_facts(channel, found)
        rows = [
            ("shift at the centre (y, x)", "{:+.1f}, {:+.1f} nm".format(*f["shift_at_centre_nm"])),
            ("rotation", f"{f['rotation_deg']:+.4f}°"),
            ("magnification", f"{f['magnification']:.6f}"),
            ("common beads, outliers", f"{f['common_beads']}, {f['outliers']}"),
            ("residual of beads left out",
             f"{f['residual_nm']:.1f} ± {f['residual_sd_nm']:.1f} nm"),
            ("error at centre, worst corner",
             f"{f['error_centre_nm']:.1f}, {f['error_corner_nm']:.1f} nm"),
            ("reduced χ²", f"{f['chi2']:.2f}"),
        ]  # fmt: skip
        title = f"{channel.emission_nm:g} nm"
        out.append(Section(title, "Arrows: where each bead lies against a map made without it.",
                           ("", "value"), rows, residual_figure(channel, found)))  # fmt: skip
    counts = [(f"{c.emission_nm:g} nm", str(sum(len(b.sd_um) for b in c.beads)),
               ", ".join(f"{n} {k}" for k, n in _channel_facts(c, found)["rejected"].items()))
              for c in found.channels]  # fmt: skip
    out.append(Section("Beads", header=("channel", "used", "rejected"), rows=counts))
    return out

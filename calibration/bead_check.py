"""Do beads recorded anew still give the PSF or the OTF of a record?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from calibration.data_check import Finding
from calibration.otf.measure import OtfMeasurement, measure_otf
from calibration.otf.settings import OtfSettings
from calibration.psf.measure import measure_psf
from calibration.psf.settings import BeadSetup, PsfSettings
from simrecon.errors import InputError, QualityError
from simrecon.io import CalibrationRecord
from simrecon.model.pattern import Verdict
from simrecon.model.psf import RadialVolumeOTF
from simrecon.physics.measured_volume import radial_table
from simrecon.physics.otf_volume import evaluate_volume_otf

SIGMAS = 3.5
WAVE_WEAK, WAVE_FAILED = 1.0 / 28.0, 1.0 / 14.0
"""Rms of the change of the wavefront, in wavelengths: Maréchal's limit, at which the peak of a
PSF falls by a fifth (Born and Wolf, Principles of Optics, 9.3), and half of that."""
WIDTH_WEAK, WIDTH_FAILED = 0.05, 0.2
"""Relative changes of the mean bead's FWHM, beyond their errors; chosen. On simulated beads of one
objective (30 nm spherical) other beads changed it by 0.5 to 1.4 %, 30 nm more of the aberration by
2 to 5 % laterally and 7 % axially."""
OTF_WEAK, OTF_FAILED = 0.1, 0.3
"""Rms difference of an order's OTF relative to its size; chosen. On simulated beads other beads of
one objective gave 0.3 % at most, 30 nm more of spherical aberration 15 %."""
LEAST_CONTRAST = 0.7
"""Share of the record's contrast below which a pattern is doubted, as in pattern records."""
_AXES = ("z", "y", "x")


def check_psf_beads(
    record: CalibrationRecord, stacks: Sequence[np.ndarray], setup: BeadSetup
) -> list[Finding]:
    """Measure bead stacks (Z, Y, X) as the record was, and compare widths and wavefront."""
    terms = _terms(record)
    try:
        found = measure_psf(stacks, setup, PsfSettings(terms=tuple(terms)))
    except (QualityError, InputError) as error:
        return [_unusable(error)]
    findings = []
    now = np.asarray(found.widths.gaussian)
    wide = [i for i in range(3) if np.isfinite(now[i])]
    kept = record.quantities.get("fwhm_um")
    if kept is not None and np.size(kept.value) == len(wide):
        errors = np.broadcast_to(0.0 if kept.sd is None else kept.sd, len(wide))
        for i, was, sd in zip(wide, np.ravel(kept.value), errors, strict=True):
            change = abs(now[i] / was - 1.0)
            own = float(np.nan_to_num(found.width_sd_um[i]))
            verdict = _grade(change, float(np.hypot(sd, own)) / was, WIDTH_WEAK, WIDTH_FAILED)
            text = f"record {1e3 * was:.0f} nm, data {1e3 * now[i]:.0f} nm"
            findings.append(Finding(f"FWHM along {_AXES[i]}", verdict, text))
    if found.fit is not None and terms:
        fit = found.fit
        findings.append(_wavefront(terms, fit.aberrations_nm, fit.aberrations_sd_nm, record,
                                   setup.optics.emission_nm))  # fmt: skip
    return findings


def check_otf_beads(
    record: CalibrationRecord, frames: Sequence[np.ndarray], setup: BeadSetup
) -> list[Finding]:
    """Measure recordings (A, P, Z, Y, X) as the record was; compare OTFs, contrast, wavefront."""
    terms = _terms(record)
    mode, model = record.conditions.get("mode", "2d"), record.results.get("model", "measured")
    settings = OtfSettings(mode, model, psf=PsfSettings(terms=tuple(terms)))
    try:
        found = measure_otf(frames, setup, settings)
    except (QualityError, InputError) as error:
        return [_unusable(error)]
    findings = _orders(record, found)
    kept = record.quantities["contrast"]
    was, now = np.asarray(kept.value), found.contrast
    if was.shape == now.shape:
        share = float(np.min(now / np.maximum(was, 1e-9)))
        findings.append(Finding("contrast", "ok" if share >= LEAST_CONTRAST else "weak",
                                f"at least {share:.2f} of the record's"))  # fmt: skip
    else:
        text = f"record {was.shape[0]} directions, data {now.shape[0]}"
        findings.append(Finding("contrast", None, f"not compared: {text}"))
    if found.detection is not None and terms:
        fit = found.detection.fit
        findings.append(_wavefront(terms, fit.aberrations_nm, fit.aberrations_sd_nm, record,
                                   setup.optics.emission_nm))  # fmt: skip
    return findings


def otf_difference(one: CalibrationRecord, found: OtfMeasurement) -> list[float]:
    """Rms difference of every order of a record's radial OTF and a measurement's.

    Relative to the order's size, after the order's best gain: contrasts are compared apart.
    """
    optics = found.setup.optics
    table = np.asarray(one.quantities["otf_real"].value, dtype=np.complex128)
    table += 1j * np.asarray(one.quantities["otf_imag"].value)
    kr_step, kz_step = (
        float(one.quantities[n].value) for n in ("kr_step_per_um", "kz_step_per_um")
    )
    kr = np.linspace(0.02, 0.98, 50) * optics.cutoff_per_um
    if table.shape[2] == 1:
        places = kr_step * np.arange(table.shape[1])
        now = found.table.kr_step_per_um * np.arange(found.table.values.shape[1])
        return [_difference(np.interp(kr, places, table[0, :, 0].real),
                            np.interp(kr, now, found.table.values[0, :, 0].real), kr)]  # fmt: skip
    old = radial_table(table, kr_step, kz_step, optics=optics, source="record")
    new = replace(found, psfs=None).otf()
    assert isinstance(new, RadialVolumeOTF)
    kz = np.linspace(-0.5, 0.5, 41)[:, None, None] / float(found.setup.dz_um or 1.0)
    where = kz, np.zeros((1, 1, 1)), kr[None, None]
    return [_difference(evaluate_volume_otf(old, m, *where)[:, 0],
                        evaluate_volume_otf(new, m, *where)[:, 0], kr)
            for m in range(len(table))]  # fmt: skip


def _difference(old: np.ndarray, new: np.ndarray, kr: np.ndarray) -> float:
    gain = np.sum(kr * old * new.conj()) / np.sum(kr * np.abs(new) ** 2)  # a ring for each radius
    left = np.sum(kr * np.abs(old - gain * new) ** 2) / np.sum(kr * np.abs(old) ** 2)
    return float(np.sqrt(left))


def _orders(record: CalibrationRecord, found: OtfMeasurement) -> list[Finding]:
    kept = np.asarray(record.quantities["otf_real"].value).shape
    if (kept[0], kept[2] > 1) != (found.table.values.shape[0], found.table.values.shape[2] > 1):
        return [Finding("OTF", "failed", f"record of shape {kept}, data "
                        f"{found.table.values.shape}: planes and volumes")]  # fmt: skip
    return [
        Finding(f"OTF of order {m}" if kept[0] > 1 else "OTF",
                _grade(value, 0.0, OTF_WEAK, OTF_FAILED), f"differs by {100 * value:.1f} % rms")
        for m, value in enumerate(otf_difference(record, found))
    ]  # fmt: skip


def _wavefront(
    terms: Sequence[int], new: Mapping[int, float], new_sd: Mapping[int, float],
    record: CalibrationRecord, emission_nm: float,
) -> Finding:  # fmt: skip
    kept = record.quantities["aberrations_nm"]
    old, sd = np.ravel(kept.value), np.ravel(0.0 if kept.sd is None else kept.sd)
    change = float(np.hypot.reduce([new[j] - was for j, was in zip(terms, old, strict=True)]))
    error = float(np.hypot.reduce([*(new_sd[j] for j in terms), *sd]))
    verdict = _grade(change / emission_nm, error / emission_nm, WAVE_WEAK, WAVE_FAILED)
    return Finding("wavefront", verdict, f"changed by {change:.1f} ± {error:.1f} nm rms")


def _terms(record: CalibrationRecord) -> list[int]:
    """Fitted Noll indices of a record; none where no pupil was fitted."""
    if "aberrations_nm" not in record.quantities:
        return []
    pupil: Any = record.results.get("fit") or record.results.get("pupil") or {}
    return [int(one["noll"]) for one in pupil.get("aberrations", {}).values()]


def _unusable(error: QualityError | InputError) -> Finding:
    return Finding("beads", "failed", f"{error.message} {error.got or ''}".strip())


def _grade(size: float, error: float, weak: float, failed: float) -> Verdict:
    if size <= max(weak, SIGMAS * error):
        return "ok"
    return "failed" if size > failed else "weak"

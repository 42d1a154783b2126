"""Do new bead pictures still fit a registration record?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from calibration.data_check import Finding
from calibration.registration.measure import measure_registration
from calibration.registration.read import ChannelFiles
from simrecon.errors import InputError, MetadataError, QualityError
from simrecon.io import CalibrationRecord
from simrecon.io.registration_record import registration_of
from simrecon.model.optics import Optics
from simrecon.model.pattern import Verdict

SIGMAS = 3.5
WEAK_NM, FAILED_NM = 20.0, 100.0
"""Where the record's map leads against where beads are now, at the worst corner: a fifth of what
SIM resolves, and all of it."""


def check_registration(
    record: CalibrationRecord, files: ChannelFiles, optics: Sequence[Optics], pixel_um: float
) -> list[Finding]:
    """Register beads anew, and compare with the record, channel by channel.

    Raises
    ------
    MetadataError
        When the channels' wavelengths are not those of the pictures.
    """
    known = registration_of(record, "")
    shape = files.fields[0].shape
    if len(optics) != shape[0]:
        raise MetadataError("Every channel needs its emission wavelength.",
                            expected=f"{shape[0]} for the channels", got=f"{len(optics)}",
                            where="--emission-nm")  # fmt: skip
    if shape[1:] != known.shape:
        text = f"record {known.shape}, data {shape[1:]}: another region of the cameras"
        return [Finding("size", "failed", text)]
    try:
        reference = [known.channel(o.emission_nm) for o in optics]
        first = int(np.argmin(reference))
        found = measure_registration(files.fields, pixel_um, optics, reference=first)
    except (QualityError, InputError) as error:
        return [Finding("beads", "failed", f"{error.message} {error.got or ''}".strip())]
    findings = []
    for channel in found.channels:
        fit = channel.fit
        if fit is None:
            continue
        old = known.between(channel.emission_nm, optics[first].emission_nm)
        points = np.concatenate([found.corners_um, found.corners_um.mean(axis=0)[None]])
        away = 1e3 * np.hypot(*(old(points) - fit.affine(points)).T)
        worst = int(away.argmax())
        spread = float(fit.error_nm(points[worst]))
        text = (f"moved by {away[-1]:.0f} nm at the centre, {away.max():.0f} ± {spread:.0f} nm at "
                "most over the field")  # fmt: skip
        verdict = _grade(float(away.max()), spread)
        findings.append(Finding(f"{channel.emission_nm:g} nm", verdict, text))
    return findings


def _grade(away_nm: float, error_nm: float) -> Verdict:
    if away_nm <= max(WEAK_NM, SIGMAS * error_nm):
        return "ok"
    return "failed" if away_nm > FAILED_NM else "weak"

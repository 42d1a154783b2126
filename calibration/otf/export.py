"""A measured OTF for other programs; the suffix of the file says for which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from calibration.otf.measure import OtfMeasurement
from simrecon.errors import UsageError
from simrecon.io import write_fairsim_otf, write_image, write_otf_tiff, write_priism_otf

_PRIISM, _TIFF, _FAIRSIM = (".mrc", ".dv", ".otf"), (".tif", ".tiff"), (".xml",)
_SUFFIXES = (*_PRIISM, *_TIFF, *_FAIRSIM)


def check_exports(paths: Sequence[Path]) -> None:
    """Refuse names that belong to no program's format.

    Raises
    ------
    UsageError
    """
    for path in paths:
        if path.suffix.lower() not in _SUFFIXES:
            raise UsageError("No program's OTF format has this suffix.", got=path.name,
                             expected=", ".join(_SUFFIXES), where="--export")  # fmt: skip


def export_otf(path: Path, found: OtfMeasurement, provenance: Mapping[str, Any]) -> str:
    """Write the radial table (Priism, makeotf, fairSIM), or as TIFF of a plane its PSF."""
    table, optics, suffix = found.table, found.setup.optics, path.suffix.lower()
    if suffix in _PRIISM:
        write_priism_otf(path, table.values, table.kr_step_per_um, table.kz_step_per_um,
                         emission_nm=optics.emission_nm,
                         title=f"simcal otf, {found.settings.mode}, {found.model}")  # fmt: skip
    elif suffix in _FAIRSIM:
        write_fairsim_otf(path, table.values, table.kr_step_per_um, na=optics.na,
                          emission_nm=optics.emission_nm)  # fmt: skip
    elif found.settings.mode == "2d":
        write_image(path, found.plane_psf(), pixel_um=found.setup.pixel_um,
                    provenance={**provenance, "quantity": "PSF of a point, sum 1"})  # fmt: skip
    else:
        write_otf_tiff(path, table.values)
    return str(path)

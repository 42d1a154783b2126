"""``simrecon otf``: what an OTF file holds, in words and as a drawing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from simrecon.backend import select_device
from simrecon.errors import UsageError
from simrecon.io import atomic_path, check_overwrite, holds_volume_otf, read_otf, read_volume_otf
from simrecon.model.optics import Optics
from simrecon.model.psf import DetectionOTF, VolumeOTF
from simrecon.physics.otf import check_otf
from simrecon.physics.otf_volume_checks import visible_extent
from simrecon.qc.otf_figure import draw_planar_otf, draw_volume_otf
from simrecon.shell import Reporter


def otf(
    file: Path,
    /,
    *,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    na: float | None = None,
    emission_nm: float | None = None,
    index: float = 1.515,
    excitation_nm: float | None = None,
    excitation_na: float | None = None,
    pixel_um: float | None = None,
    dz_um: float | None = None,
    orders: int | None = None,
    json: bool = False,
) -> None:
    """Say what an OTF file or PSF picture holds, compare it with the optics, and draw it.

    Parameters
    ----------
    file
        OTF (MRC/DV, TIFF table, NumPy .npz, fairSIM XML) or PSF picture (TIFF).
    output
        Drawing to write, .png, .pdf or .svg.
    na, emission_nm, index
        Detection: NA, wavelength in nm and immersion index. With the first two the file is checked.
    excitation_nm, excitation_na
        Excitation of three-beam SIM, for the axial cut-off of order 1.
    pixel_um, dz_um
        Pitches of the bead stack, for files without a frequency scale, µm.
    orders
        Orders of each direction, where the file holds several directions.
    json
        Write one JSON document to standard output.
    """
    report = Reporter(json)
    report.device(select_device("cpu"))
    if output is not None:
        if output.suffix.lower() not in (".png", ".pdf", ".svg"):
            raise UsageError("Unknown format of a drawing.", expected=".png, .pdf or .svg",
                             got=output.name, where="-o")  # fmt: skip
        check_overwrite([output], [file])
    optics = _optics(na, emission_nm, index, excitation_nm, excitation_na)
    volumes: tuple[VolumeOTF, ...] = ()
    if file.is_file() and holds_volume_otf(file):
        volumes = read_volume_otf(file, optics, pixel_um=pixel_um, dz_um=dz_um, orders=orders)
        facts = [_volume_facts(one) for one in volumes]
    else:
        planar = read_otf(file, optics, pixel_um=pixel_um)
        facts = [_planar_facts(planar, optics)]
    if output is not None:
        figure = draw_volume_otf(volumes) if volumes else draw_planar_otf(planar)
        with atomic_path(output) as temporary:
            figure.savefig(temporary, format=output.suffix[1:].lower(), dpi=120)
    lines = [f"{name:<12} {value}" for fact in facts for name, value in fact.items()]
    wrote = [] if output is None else [f"wrote {output}"]
    report.finish(
        {"file": str(file), "otfs": facts, "figure": None if output is None else str(output)},
        "\n".join(lines + wrote),
    )


def _optics(
    na: float | None,
    emission_nm: float | None,
    index: float,
    excitation_nm: float | None,
    excitation_na: float | None,
) -> Optics | None:
    if na is None and emission_nm is None:
        return None
    if na is None or emission_nm is None:
        raise UsageError("The optics need NA and wavelength.", expected="--na and --emission-nm")
    return Optics(na, emission_nm, index, excitation_nm=excitation_nm, excitation_na=excitation_na)


def _volume_facts(one: VolumeOTF) -> dict[str, Any]:
    radius, height = visible_extent(one)
    return {
        "source": one.source,
        "orders": one.orders,
        "cut-off": f"{one.cutoff_per_um:.3f} per µm; along z "
        + ", ".join(f"{k:.3f}" for k in one.axial_cutoff_per_um),
        "seen to": f"{radius:.2f} per µm (2 %), height {height:.2f} per µm",
    }


def _planar_facts(one: DetectionOTF, optics: Optics | None) -> dict[str, Any]:
    facts: dict[str, Any] = {"source": one.source, "cut-off": f"{one.cutoff_per_um:.3f} per µm"}
    for i, note in enumerate([] if optics is None else check_otf(one, optics), start=1):
        facts[f"note {i}"] = note
    return facts

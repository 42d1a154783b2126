"""The camera measurement in words and tables, for the report and for the terminal."""

from __future__ import annotations

from calibration.camera_figures import camera_figure
from calibration.camera_results import CameraMeasurement
from calibration.report import Section
from simrecon.io import CalibrationRecord

_LEVELS = ("level", "frames", "signal (ADU)", "gain (ADU/e)", "± sd", "deviation (%)",
           "flicker (% rms)")  # fmt: skip


def camera_sections(record: CalibrationRecord, found: CameraMeasurement) -> list[Section]:
    """Camera, plots, levels and fixed pattern."""
    levels = [
        (lv["name"], str(lv["frames"]), *(f"{lv[key]:.4g}" for key in (
            "signal_adu", "gain", "gain_sd", "deviation_percent", "flicker_percent")))
        for lv in record.results["levels"]
    ]  # fmt: skip
    pattern = [
        (name.replace("_", " "), f"{value:.4g}")
        for name, value in record.results["fixed_pattern"].items()
    ]
    return [
        Section("Camera", header=("quantity", "value"), rows=camera_rows(record)),
        Section("Photon transfer, linearity, drift and maps", figure=camera_figure(found)),
        Section("Levels of light", header=_LEVELS, rows=levels),
        Section(
            "Fixed pattern and line noise",
            "DSNU and PRNU by EMVA 1288 Release 4.0; line noise is temporal.",
            ("quantity", "value"),
            pattern,
        ),
    ]


def camera_rows(record: CalibrationRecord) -> list[tuple[str, str]]:
    """The main numbers with their errors."""
    r = record.results
    read, offset, shape = r["read_noise"], r["offset"], r["shape"]
    bad = ", ".join(f"{number} {kind}" for kind, number in r["pixels"].items())
    straight = max(abs(level["deviation_percent"]) for level in r["levels"])
    rows = [
        ("instrument", record.instrument or "not named (--instrument)"),
        ("gain", f"{r['gain']['value']:.4g} ± {r['gain']['sd']:.1g} ADU/e"),
        ("read noise", f"{read['rms']:.4g} ± {read['rms_sd']:.1g} e rms "
                       f"(median {read['median']:.4g} e)"),
        ("offset", f"{offset['mean']:.5g} ADU, {offset['sd_over_pixels']:.2g} ADU over the pixels"),
        ("pixels", f"{shape[0]} × {shape[1]}; {bad}"),
        ("frames", f"{r['frames']['dark']} dark, {' + '.join(map(str, r['frames']['flat']))} flat"),
        ("linearity", f"gains of the levels within {straight:.2g} %"),
    ]  # fmt: skip
    if r["response_linearity_percent"] is not None:
        largest = max(abs(v) for v in r["response_linearity_percent"])
        rows.append(("response", f"within {largest:.2g} % of a straight line over the exposures"))
    rows += [(str(name), str(value)) for name, value in record.conditions.items()]
    return rows + ([("valid until", record.expires)] if record.expires else [])

"""Camera record and report from ordinary pictures: what ``simcal camera --image`` makes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from calibration.flat_levels import Frames, iterate, stack_files
from calibration.record import check_record, dated
from calibration.report import Section
from simrecon.checks import counts_evidence
from simrecon.errors import QualityError
from simrecon.estimate.image_noise import MAX_FRAMES, ImageCamera, camera_from_images
from simrecon.io import CalibrationRecord, Quantity
from simrecon.provenance import describe_files, versions
from simrecon.qc.figures import new_figure


def estimate_camera(
    frames: Frames,
    *,
    cutoff_per_px: float | None = None,
    offset: float | None = None,
    read_noise_e: float | None = None,
    instrument: str = "",
    conditions: Mapping[str, Any] | None = None,
    valid_days: float | None = 365.0,
    command: str = "",
) -> tuple[CalibrationRecord, ImageCamera]:
    """Estimate a camera from pictures; the record is always "weak".

    Parameters
    ----------
    frames
        File, folder, glob, list of files, or an array (N, Y, X).
    cutoff_per_px, offset, read_noise_e
        See :func:`simrecon.estimate.image_noise.camera_from_images`.
    instrument, conditions, valid_days, command
        See :func:`calibration.camera.calibrate_camera`.

    Raises
    ------
    InputError, QualityError
        Pictures from which no gain can be had, or numbers that no camera has.
    """
    found = camera_from_images(
        iterate(frames), cutoff_per_px=cutoff_per_px, offset=offset, read_noise_e=read_noise_e
    )
    notes = list(found.notes)
    evidence = counts_evidence(next(iterate(frames))[None])
    if evidence.verdict == "not camera counts":
        notes.append(f"These are no camera counts: {evidence.reason}.")
    record = CalibrationRecord(
        kind="camera",
        quantities={
            "gain": Quantity(found.gain, "ADU/e", found.gain_sd, "block variance against mean"),
            "offset": Quantity(found.offset, "ADU", found.offset_sd),
            "read_noise_e": Quantity(found.read_noise_e, "e", found.read_noise_sd_e),
        },
        instrument=instrument,
        **dated(valid_days),
        conditions=dict(conditions or {}),
        results={
            "blocks": int(found.blocks.mean.size),
            "block_mean_adu": [float(found.blocks.mean.min()), float(found.blocks.mean.max())],
            "frames_at_most": MAX_FRAMES,
        },
        sources=tuple(describe_files(stack_files(frames))),
        provenance={"versions": versions(), "command": command, "method": "pictures"},
        notes=tuple(notes),
        verdict="weak",
    )
    implausible = [n for n in check_record(record).notes if "not plausible" in n]
    if any(not note.startswith("read_noise_e") for note in implausible):
        raise QualityError(
            "What was estimated is not plausible for a camera.",
            got=" ".join(implausible),
            hint="are these raw counts? Better: dark and flat frames (--dark, --flat)",
        )
    return record, found


def image_rows(record: CalibrationRecord) -> list[tuple[str, str]]:
    """The numbers with their errors."""
    rows = [("instrument", record.instrument or "not named (--instrument)")]
    for name, quantity in record.quantities.items():
        error = f"± {quantity.sd:.2g} " if quantity.sd else "(as given) "
        rows.append((name.removesuffix("_e").replace("_", " "),
                     f"{quantity.value:.4g} {error}{quantity.unit}"))  # fmt: skip
    low, high = record.results["block_mean_adu"]
    rows.append(("blocks", f"{record.results['blocks']}, means {low:.5g} to {high:.5g} ADU"))
    return rows


def image_sections(record: CalibrationRecord, found: ImageCamera) -> list[Section]:
    """The numbers, and the blocks with the line through them."""
    figure = new_figure(8, 5.5)
    axes = figure.subplots()
    mean, variance = found.blocks.mean, found.blocks.variance
    axes.plot(mean, variance, ".", ms=2, color="#8a8a8a", label="blocks of 16 × 16 pixels")
    ends = np.array([mean.min(), mean.max()])
    line = found.gain * (ends - found.offset) + (found.gain * found.read_noise_e) ** 2
    axes.plot(ends, line, color="#c23b22",
              label=f"gain {found.gain:.3g} ± {found.gain_sd:.1g} ADU/e")  # fmt: skip
    axes.set(xlabel="mean (ADU)", ylabel="noise variance (ADU²)",
             ylim=(0.0, 1.2 * float(np.percentile(variance, 99.5))))  # fmt: skip
    axes.legend(frameon=False)
    return [
        Section("Camera", header=("quantity", "value"), rows=image_rows(record)),
        Section("Noise against light", figure=figure),
    ]

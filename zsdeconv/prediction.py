"""Pictures and movies through a model, one picture in memory at a time, with a report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from simrecon.errors import UsageError
from simrecon.io import movie_writer, write_json
from simrecon.model.pattern import Verdict
from simrecon.result import Progress
from zsdeconv import qc
from zsdeconv.learned import Predicted
from zsdeconv.picture_files import PictureFile

OUTPUTS = ("denoised", "deconvolved")
QC = "qc.json"
_NAMED = 10

Predict = Callable[[np.ndarray], Predicted]


def prediction_paths(files: Sequence[PictureFile], folder: Path) -> list[tuple[Path, Path]]:
    """Denoised and deconvolved file for every input.

    Raises
    ------
    UsageError
        Inputs of one name in different folders.
    """
    stems = [f.path.name.split(".")[0] for f in files]
    twice = {s for s in stems if stems.count(s) > 1}
    if twice:
        raise UsageError(
            "Two inputs have the same name: one output would replace the other.",
            got=", ".join(sorted(twice)), hint="run them one after the other",
        )  # fmt: skip
    return [
        (folder / f"{s}.{OUTPUTS[0]}.ome.tif", folder / f"{s}.{OUTPUTS[1]}.ome.tif") for s in stems
    ]


def predict_files(
    files: Sequence[PictureFile],
    folder: Path,
    predict: Predict,
    *,
    pixel_um: float,
    provenance: Mapping[str, Any],
    doubts: Sequence[str],
    fitted: float,
    progress: Progress,
    zoom: int = 1,
) -> tuple[dict[str, Any], list[Path]]:
    """Restore every picture of every file; returns the report and the files written.

    An output has its name when its whole file is done; its pixels are 1/`zoom` of `pixel_um`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    total, done = sum(f.count for f in files), 0
    report: dict[str, Any] = {"schema": "zsdeconv/prediction/1", "files": {}}
    written: list[Path] = []
    for file, paths in zip(files, prediction_paths(files, folder), strict=True):
        ny, nx = (zoom * int(n) for n in file.frames.shape[-2:])
        shape = (file.count, ny, nx)
        found: list[tuple[float, float]] = []
        with ExitStack() as open_files:
            arrays = []
            for path, word in zip(paths, OUTPUTS, strict=True):
                about = {**provenance, "quantity": f"{word} picture, e"}
                writer = movie_writer(path, shape, pixel_um=pixel_um / zoom, provenance=about)
                arrays.append(open_files.enter_context(writer))
            for index in range(file.count):
                made = predict(file.picture(index))
                arrays[0][index], arrays[1][index] = made.denoised, made.deconvolved
                found.append((made.chi2, made.flux_ratio))
                done += 1
                progress("pictures", done, total)
            del arrays
        written += paths
        chi2, flux = (list(v) for v in zip(*found, strict=True))
        report["files"][file.path.name] = {"chi2": chi2, "flux_ratio": flux}
    report |= judge(report["files"], doubts, fitted)
    report["provenance"] = dict(provenance)
    write_json(folder / QC, report)
    return report, [*written, folder / QC]


def judge(
    files: Mapping[str, Mapping[str, Sequence[float]]], doubts: Sequence[str], fitted: float
) -> dict[str, Any]:
    """Verdict and reasons: does every result explain its picture within the noise?

    `fitted`: see :func:`zsdeconv.qc.judge`.
    """
    lowest, highest = qc.CHI2_WEAK[0] - fitted, qc.CHI2_WEAK[1]
    values = [(n, i, c) for n, f in files.items() for i, c in enumerate(f["chi2"])]
    off = [(n, i, c) for n, i, c in values if not lowest <= c <= highest]
    mean = float(np.mean([c for *_, c in values]))
    reasons = list(doubts)
    if off:
        names = ", ".join(f"{n} picture {i + 1} ({c:.2f})" for n, i, c in off[:_NAMED])
        more = f" and {len(off) - _NAMED} more" if len(off) > _NAMED else ""
        reasons.append(
            f"raw consistency: {len(off)} of {len(values)} results do not explain their picture "
            f"within its noise (χ² outside {lowest:.2g}…{highest:.3g}): {names}{more}; another "
            "sample, camera setting or light: 'zsdeconv adapt' or train again"
        )
    else:
        reasons.append(f"raw consistency: mean χ² = {mean:.3f}; every result explains its picture")
    verdict: Verdict = "ok"
    if doubts or off:
        verdict = "failed" if len(off) > len(values) / 2 else "weak"
    reasons.append(f"verdict: {verdict}")
    return {"chi2": mean, "verdict": verdict, "reasons": reasons}

"""Files of a series: movies written time point by time point, the model, and the report."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from simrecon.io import movie_writer, write_json
from simrecon.model.pattern import Verdict, worst
from simrecon.result import Progress
from zsdeconv.checkpoint import FACTS_FILE, MODEL_FILE, STATE_FILE
from zsdeconv.enhancement import save_model
from zsdeconv.figures import overview
from zsdeconv.figures_volume import volume_overview
from zsdeconv.outputs import MODEL_FOLDER, OVERVIEW, QC, output_paths
from zsdeconv.series import Series, TimePoint

QUANTITIES = {
    "sim": "SIM image, e per raw pixel area", "variance": "variance of the SIM image, e²",
    "denoised": "denoised SIM image, e", "deconvolved": "object as it is shown, e",
}  # fmt: skip
_NAMED = 10


def write_series(
    series: Series, folder: Path, *, provenance: Mapping[str, Any], title: str, progress: Progress
) -> tuple[dict[str, Any], list[Path]]:
    """Restore all time points and write them; returns the report and the files.

    ``sim``, ``variance``, ``denoised`` and ``deconvolved.ome.tif`` have a page (or volume) per
    time point, NaN where there is no reconstruction, and get their names when all are there.
    `overview.png` shows the time point that the training was judged by.
    """
    trained = series.trained
    folder.mkdir(parents=True, exist_ok=True)
    names = [n for n in QUANTITIES if n != "variance" or trained.image_variance is not None]
    shape = (series.times, *trained.image.shape)
    points = []
    with ExitStack() as files:
        movies = {
            name: files.enter_context(movie_writer(
                folder / f"{name}.ome.tif", shape, pixel_um=trained.pixel_um,
                dz_um=trained.dz_um, provenance={**provenance, "quantity": QUANTITIES[name]},
            ))
            for name in names
        }  # fmt: skip
        for point in series:
            for name, picture in _pictures(point).items():
                if name in movies:
                    movies[name][point.time] = np.nan if picture is None else picture
            points.append(point.to_dict())
            progress("time points", len(points), series.times)
        movies.clear()
    model = folder / MODEL_FOLDER
    save_model(trained, model)
    draw = overview if trained.dz_um is None else volume_overview
    draw(trained, folder / OVERVIEW, title=title)
    report = {
        "schema": "zsdeconv/series/1", **judge(series, points),
        "trained_on": list(series.trained_on), "training": trained.qc, "times": points,
        "provenance": dict(provenance),
    }  # fmt: skip
    write_json(folder / QC, report)
    saved = (model / n for n in (MODEL_FILE, FACTS_FILE, STATE_FILE))
    written = [*(folder / f"{n}.ome.tif" for n in names), folder / OVERVIEW, folder / QC,
               *(f for f in saved if f.exists())]  # fmt: skip
    for stale in {*output_paths(folder)} - {*written}:  # of one time point alone, earlier
        stale.unlink(missing_ok=True)
    return report, written


def _pictures(point: TimePoint) -> dict[str, np.ndarray | None]:
    made = point.predicted
    return {
        "sim": point.image, "variance": point.variance,
        "denoised": None if made is None else made.denoised,
        "deconvolved": None if made is None else made.deconvolved,
    }  # fmt: skip


def judge(series: Series, points: list[dict[str, Any]]) -> dict[str, Any]:
    """Verdict on the whole series, with reasons: that of the training, and of the time points.

    "ok" when everything is, "failed" when the training or more than half of the time points have.
    """
    off = [p for p in points if p["verdict"] != "ok"]
    failed = sum(p["verdict"] == "failed" for p in points)
    known = [p["chi2"] for p in points if p["chi2"] is not None]
    trained = ", ".join(str(t) for t in series.trained_on)
    reasons = [f"training on time points {trained}:", *series.trained.qc["reasons"]]
    reasons += [f"not trained on time point {t}: {why}" for t, why in series.left_out.items()]
    if known:
        reasons.append(f"all time points: χ² {min(known):.3f} to {max(known):.3f}")
    if off:
        named = "; ".join(f"{p['time']} {p['verdict']} ({p['reason']})" for p in off[:_NAMED])
        more = f"; and {len(off) - _NAMED} more" if len(off) > _NAMED else ""
        reasons.append(f"{len(off)} of {len(points)} time points are not ok: {named}{more}")
    verdict: Verdict = "ok"
    if off or not series.trained.passed:
        verdict = "failed" if failed > len(points) / 2 else "weak"
    verdict = worst([verdict, series.trained.verdicts["overall"]])
    reasons.append(f"verdict of the series: {verdict}")
    return {"verdict": verdict, "reasons": reasons}

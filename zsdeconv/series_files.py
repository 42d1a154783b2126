"""Files of a series: movies written time point by time point, the model, and the report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from simrecon.errors import QualityError
from simrecon.io import movie_writer, write_json
from simrecon.model.mode import VOLUME_MODES
from simrecon.model.pattern import Verdict, worst
from simrecon.result import Progress
from zsdeconv.checkpoint import FACTS_FILE, MODEL_FILE, STATE_FILE
from zsdeconv.enhancement import save_model
from zsdeconv.figures import overview
from zsdeconv.figures_volume import volume_overview
from zsdeconv.outputs import MODEL_FOLDER, OVERVIEW, QC, output_paths
from zsdeconv.series import Series
from zsdeconv.time_points import Recording, Restore, TimePoint

QUANTITIES = {
    "sim": "SIM image, e per raw pixel area", "variance": "variance of the SIM image, e²",
    "denoised": "denoised SIM image, e", "deconvolved": "object as it is shown, e",
}  # fmt: skip
_NAMED = 10


def write_series(
    series: Series, folder: Path, *, provenance: Mapping[str, Any], title: str, progress: Progress
) -> tuple[dict[str, Any], list[Path]]:
    """Restore all time points and write them, the model, an overview and the report.

    `overview.png` shows the time point that the training was judged by.
    """
    trained = series.trained
    movies = Movies(folder, series.times, trained.pixel_um, trained.dz_um, provenance)
    points = movies.write(series, progress)
    model = folder / MODEL_FOLDER
    save_model(trained, model)
    draw = overview if trained.dz_um is None else volume_overview
    draw(trained, folder / OVERVIEW, title=title)
    reasons = [f"training on time points {', '.join(str(t) for t in series.trained_on)}:"]
    reasons += trained.qc["reasons"]
    reasons += [f"not trained on time point {t}: {why}" for t, why in series.left_out.items()]
    report = {
        "schema": "zsdeconv/series/1", **judge(points, reasons, trained.verdicts["overall"]),
        "trained_on": list(series.trained_on), "training": trained.qc, "times": points,
        "provenance": dict(provenance),
    }  # fmt: skip
    saved = (model / n for n in (MODEL_FILE, FACTS_FILE, STATE_FILE))
    return report, movies.finish(report, [folder / OVERVIEW, *(f for f in saved if f.exists())])


def write_restored(
    recording: Recording,
    restore: Restore,
    folder: Path,
    *,
    provenance: Mapping[str, Any],
    progress: Progress,
) -> tuple[dict[str, Any], list[Path]]:
    """Restore all time points of a recording by a model of another one, and write them.

    Raises
    ------
    InputError
        A recording of another set-up than the model's.
    """
    zoom, grid = recording.engine.reconstruction.zoom, recording.stack
    dz_um = grid.dz_um if recording.engine.reconstruction.mode in VOLUME_MODES else None
    movies = Movies(folder, recording.times, grid.pixel_um / zoom, dz_um, provenance)
    points = movies.write(recording.restored(restore), progress)
    report = {
        "schema": "zsdeconv/restored/1", **judge(points), "times": points,
        "provenance": dict(provenance),
    }  # fmt: skip
    return report, movies.finish(report, [])


@dataclass
class Movies:
    """The pictures of all time points, written one by one.

    ``sim``, ``variance``, ``denoised`` and ``deconvolved.ome.tif`` have a page (or volume) per
    time point, NaN where there is no reconstruction, and get their names when all are there.

    Attributes
    ----------
    folder : Path
    times : int
    pixel_um, dz_um
        Of the pictures.
    provenance : mapping
    """

    folder: Path
    times: int
    pixel_um: float
    dz_um: float | None
    provenance: Mapping[str, Any]
    _written: list[Path] = field(default_factory=list, init=False)

    def write(self, points: Iterable[TimePoint], progress: Progress) -> list[dict[str, Any]]:
        """Write the pictures; returns what is known of every time point.

        Raises
        ------
        QualityError
            No time point has a picture.
        """
        told: list[dict[str, Any]] = []
        with ExitStack() as files:
            movies: dict[str, Any] = {}
            for point in points:
                pictures = _pictures(point)
                if not movies and point.image is not None:
                    movies = self._opened(files, pictures, point.image.shape)
                    for name in movies:
                        for earlier in range(point.time):
                            movies[name][earlier] = np.nan
                for name in movies:
                    made = pictures[name]
                    movies[name][point.time] = np.nan if made is None else made
                told.append(point.to_dict())
                progress("time points", len(told), self.times)
            if not movies:
                raise QualityError(
                    "No time point has a picture.", got=str(told[0]["reason"]),
                    where=f"{len(told)} time points",
                )  # fmt: skip
            movies.clear()
        return told

    def _opened(
        self, files: ExitStack, pictures: Mapping[str, np.ndarray | None], shape: tuple[int, ...]
    ) -> dict[str, Any]:
        self.folder.mkdir(parents=True, exist_ok=True)
        names = [name for name, picture in pictures.items() if picture is not None]
        self._written = [self.folder / f"{name}.ome.tif" for name in names]
        return {
            name: files.enter_context(movie_writer(
                path, (self.times, *shape), pixel_um=self.pixel_um, dz_um=self.dz_um,
                provenance={**self.provenance, "quantity": QUANTITIES[name]},
            ))
            for name, path in zip(names, self._written, strict=True)
        }  # fmt: skip

    def finish(self, report: Mapping[str, Any], others: list[Path]) -> list[Path]:
        """Write the report; pictures and reports of an earlier run go, a model stays."""
        write_json(self.folder / QC, report)
        written = [*self._written, *others, self.folder / QC]
        for stale in {*output_paths(self.folder)} - {*written}:
            if stale.parent == self.folder:
                stale.unlink(missing_ok=True)
        return written


def _pictures(point: TimePoint) -> dict[str, np.ndarray | None]:
    made = point.predicted
    return {
        "sim": point.image, "variance": point.variance,
        "denoised": None if made is None else made.denoised,
        "deconvolved": None if made is None else made.deconvolved,
    }  # fmt: skip


def judge(
    points: list[dict[str, Any]], reasons: Sequence[str] = (), training: Verdict = "ok"
) -> dict[str, Any]:
    """Verdict on all time points and on the training, with reasons, the training's first.

    "ok" when everything is, "failed" when the training or more than half of the time points have.
    """
    off = [p for p in points if p["verdict"] != "ok"]
    failed = sum(p["verdict"] == "failed" for p in points)
    known = [p["chi2"] for p in points if p["chi2"] is not None]
    said = list(reasons)
    if known:
        said.append(f"all time points: χ² {min(known):.3f} to {max(known):.3f}")
    if off:
        named = "; ".join(f"{p['time']} {p['verdict']} ({p['reason']})" for p in off[:_NAMED])
        more = f"; and {len(off) - _NAMED} more" if len(off) > _NAMED else ""
        said.append(f"{len(off)} of {len(points)} time points are not ok: {named}{more}")
    verdict: Verdict = "ok"
    if off:
        verdict = "failed" if failed > len(points) / 2 else "weak"
    verdict = worst([verdict, training])
    said.append(f"verdict of the series: {verdict}")
    return {"verdict": verdict, "reasons": said}

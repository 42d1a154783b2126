"""What the commands on plain pictures share; imported when one of them runs (torch)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from simrecon.config import Settings
from simrecon.errors import UsageError
from simrecon.io import check_overwrite
from simrecon.io.reader import expand_paths
from simrecon.model.camera import Camera
from simrecon.provenance import describe_files
from simrecon.shell import EXIT_OK, EXIT_QUALITY, Reporter, command_line
from zsdeconv.bridge import select_device
from zsdeconv.camera_choice import given_camera
from zsdeconv.checkpoint import MODEL_FILE, model_folder, require_state
from zsdeconv.config import ZsSettings
from zsdeconv.enhancement import Enhanced, save_model
from zsdeconv.file_optics import file_optics
from zsdeconv.imaging import Imaging
from zsdeconv.learned import Predicted
from zsdeconv.options import TrainOptions
from zsdeconv.outputs import MODEL_FOLDER, check_folder, output_paths, write_enhanced
from zsdeconv.picture_files import PictureFile, consecutive, each_picture, open_pictures
from zsdeconv.picture_model import PictureModel
from zsdeconv.picture_options import PictureOptions
from zsdeconv.picture_setup import imaging_of
from zsdeconv.picture_training import adapted, as_predicted, train_pictures
from zsdeconv.plan import planned
from zsdeconv.prediction import QC, Predict, predict_files, prediction_paths


@dataclass(frozen=True)
class PictureRun:
    """A training on pictures, before it starts."""

    files: list[PictureFile]
    imaging: Imaging
    settings: ZsSettings
    facts: dict[str, Any]


@dataclass(frozen=True)
class Adaptation:
    """Steps of training on every picture, and whether the models that they make are kept."""

    iterations: int
    save_model: bool


def prepare_run(
    report: Reporter,
    files: list[str],
    output: Path,
    picture: PictureOptions | None,
    train: TrainOptions | None,
    resume: bool,
    zoom: int = 1,
) -> PictureRun:
    """Open the pictures, find optics, camera and noise, and refuse what cannot work."""
    options = picture or PictureOptions()
    settings, engine = options.settings(train)
    report.device(select_device(settings.device))
    inputs = expand_paths(files)
    check_overwrite(output_paths(output), [*inputs, *options.side_files(engine)])
    check_folder(output)
    if resume:
        require_state(output / MODEL_FOLDER)
    return picture_run(report, files, options, settings, engine, zoom)


def picture_run(
    report: Reporter,
    files: list[str],
    options: PictureOptions,
    settings: ZsSettings,
    engine: Settings,
    zoom: int = 1,
) -> PictureRun:
    """Open the pictures and say what is known about their optics, camera and noise."""
    opened = open_pictures(files, channel=options.channel, plane=options.plane)
    imaging, notes = imaging_of(opened, options, engine, zoom)
    for note in notes:
        report.say(note)
    facts = {
        "inputs": describe_files([f.path for f in opened]),
        "imaging": imaging.card(),
        "notes": notes,
    }
    return PictureRun(opened, imaging, settings, facts)


def train_and_write(
    report: Reporter,
    run: PictureRun,
    output: Path,
    resume: bool,
    at_most: int,
    last: bool = True,
) -> tuple[int, Enhanced]:
    """Train, write the folder, say the verdict."""
    chosen = consecutive if run.settings.pairs == "temporal" else each_picture
    pictures = list(chosen(run.files, at_most))
    shape = pictures[len(pictures) // 2].shape
    expected = planned(run.settings, 1, (int(shape[0]), int(shape[1])), run.imaging.zoom,
                       len(pictures))  # fmt: skip
    report.say(expected.to_text())
    with report.progress() as progress:
        made = train_pictures(
            pictures, run.imaging, run.settings, folder=output / MODEL_FOLDER, resume=resume,
            progress=progress,
        )  # fmt: skip
    provenance = {
        **made.provenance, **run.facts, "command": command_line("zsdeconv"),
        "plan": expected.to_dict(), "pictures": len(pictures),
    }  # fmt: skip
    title = run.files[0].path.name + (f" and {len(run.files) - 1} more" * (len(run.files) > 1))
    written = write_enhanced(made, output, provenance=provenance, title=title)
    if last:
        lines = [*made.qc["reasons"], *(f"wrote {p}" for p in written)]
        report.finish({"files": [str(p) for p in written], **made.qc}, "\n".join(lines))
    return EXIT_OK if made.passed else EXIT_QUALITY, made


def restore_files(
    report: Reporter,
    files: list[str],
    model: Path,
    output: Path,
    options: PictureOptions,
    train: TrainOptions | None,
    how: str,
    adaptation: Adaptation | None = None,
) -> int:
    """Apply a model to every picture, adapted to each or as it is; write, and say the verdict."""
    if options.fixed_pattern != "off":
        raise UsageError(
            "The model brings the fixed pattern that it takes off; no other can be given.",
            expected="no --fixed-pattern here", where="--fixed-pattern",
            hint="give it to 'zsdeconv train' or 'zsdeconv image'",
        )  # fmt: skip
    settings, engine = options.settings(train)
    report.device(select_device(settings.device))
    opened = open_pictures(files, channel=options.channel, plane=options.plane)
    inputs = [f.path for f in opened]
    outputs = [p for pair in prediction_paths(opened, output) for p in pair]
    kept = adapted_models(opened, output) if adaptation and adaptation.save_model else []
    general = model_folder(model) / MODEL_FILE
    check_overwrite(
        [*outputs, output / QC, *(folder / MODEL_FILE for folder in kept)],
        [*inputs, general, *options.side_files(engine)],
    )
    if (output / QC).exists() and (output / MODEL_FOLDER / MODEL_FILE).exists():
        raise UsageError(
            "This folder holds the results of a training, whose numbers would be replaced.",
            expected="another folder than that of 'zsdeconv train', 'image' or 'sim'",
            got=f"{output / QC} is that training's", where="-o",
            hint="give a folder of its own with -o",
        )  # fmt: skip
    check_folder(output)
    shape = opened[0].frames.shape[-2:]
    camera = camera_of_command(engine, (int(shape[0]), int(shape[1])))
    learned = PictureModel.read(model, camera=camera, device=settings.device)
    for file in opened:
        known = file_optics(engine, file.raw, options.channel)
        learned.check_use(known.pixel_um, known.emission_nm, str(file.path))
    predict = learned.predict if adaptation is None else _adapting(learned, adaptation, kept)
    provenance = {
        "method": how, "command": command_line("zsdeconv"), "inputs": describe_files(inputs),
        "model": describe_files([general]),
        "camera": learned.imaging.camera.summary(), "versions": learned.facts["versions"],
    }  # fmt: skip
    with report.progress() as progress:
        found, written = predict_files(
            opened, output, predict, pixel_um=learned.imaging.pixel_um, zoom=learned.imaging.zoom,
            provenance=provenance, doubts=learned.imaging.doubts, fitted=learned.imaging.fitted,
            progress=progress,
        )  # fmt: skip
    written += kept
    lines = [*found["reasons"], *(f"wrote {p}" for p in written)]
    report.finish({**found, "files": [str(p) for p in written]}, "\n".join(lines))
    return EXIT_OK if found["verdict"] == "ok" else EXIT_QUALITY


def _adapting(learned: PictureModel, adaptation: Adaptation, kept: Sequence[Path]) -> Predict:
    """Pictures by their own copy of the model, which is written to the next of the folders."""
    folders = iter(kept)

    def predict(counts: np.ndarray) -> Predicted:
        made = adapted(learned, counts, adaptation.iterations)
        if kept:
            save_model(made, next(folders))
        return as_predicted(made)

    return predict


def adapted_models(files: Sequence[PictureFile], output: Path) -> list[Path]:
    """Folders of the models that adaptation makes, picture by picture, counted from 1."""
    return [
        output / "models" / f"{file.path.name.split('.')[0]}_{number:04d}"
        for file in files
        for number in range(1, file.count + 1)
    ]


def camera_of_command(engine: Settings, shape: tuple[int, int]) -> Camera | None:
    """A camera given for pictures whose model knows one: record, maps, or all three numbers.

    Raises
    ------
    UsageError
        Some of the numbers only.
    """
    given = given_camera(engine, shape)
    c = engine.camera
    if given is not None:
        return given
    numbers = (c.gain, c.offset, c.read_noise_e)
    if None not in numbers:
        return Camera(*numbers)  # type: ignore[arg-type]
    if numbers != (None, None, None):
        raise UsageError(
            "The model knows its camera; another one needs all its numbers.",
            expected="--gain, --offset and --read-noise-e, or none of them", where="camera",
        )  # fmt: skip
    return None

"""``zsdeconv sim``: reconstruct raw frames, train on their own noise, enhance."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from simrecon.config import Settings
from simrecon.errors import UsageError
from simrecon.io import check_overwrite, read_patterns
from simrecon.io.reader import expand_paths
from simrecon.loading import load_otfs, load_stack
from simrecon.model.mode import VOLUME_MODES
from simrecon.provenance import describe_files
from simrecon.shell import Reporter
from simrecon.shell_options import FileOptions
from zsdeconv.commands.common import run_model, run_series, run_sim, say_device
from zsdeconv.config import VOLUME_DEFAULTS, ZsSettings, build_settings
from zsdeconv.launch import launch, require_training
from zsdeconv.options import TrainOptions, sim_settings


def sim(
    files: list[str],
    /,
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    file: FileOptions | None = None,
    train: TrainOptions | None = None,
    otf: list[Path] | None = None,
    pattern: Path | None = None,
    time: int | Literal["all"] | None = None,
    trained_on: Annotated[int | None, Parameter(validator=Number(gte=1))] = None,
    channel: int | None = None,
    plane: int | None = None,
    pairs: Literal["recorrupted", "realigned"] | None = None,
    resume: bool = False,
    model: Path | None = None,
    adapt: Annotated[int | None, Parameter(validator=Number(gte=1))] = None,
    json: bool = False,
) -> int:
    """Reconstruct raw SIM frames, train on their own noise, and enhance the picture or volume.

    Writes DIR/{sim,variance,denoised,deconvolved,uncertainty,consistency}.ome.tif (float32
    photo-electrons), overview.png, pattern.json, qc.json and model/. With --time all one network
    serves all time points; sim, variance, denoised and deconvolved are then movies, and the
    patterns are in qc.json. With --model nothing is trained: these movies are made by the model of
    an earlier recording.

    Parameters
    ----------
    files
        Raw frames: a TIFF, OME-TIFF or MRC/DV file, or single-page TIFFs, a folder or a glob.
    output
        Folder to write.
    otf
        Measured OTF or PSF file; with --mode 3d or lls of all orders, one for all directions or one
        per direction [default: theoretical].
    pattern
        Pattern file of 'simrecon estimate' [default: fitted].
    time
        Time point, from 0, or all; needed where there are several [default: the only one].
    trained_on
        With --time all: number of time points to train on, evenly spread [default: 4].
    channel
        Channel, from 0; needed where there are several [default: the only one].
    plane
        Plane, from 0; needed where there are several [default: the only one]. With --mode 3d or
        lls all planes are one volume.
    pairs
        What the network learns from: recorrupted (copies by the camera's noise), or realigned (a
        quarter of every frame's pixels from the other three, with no noise model)
        [default: recorrupted].
    resume
        Continue an interrupted training in the same folder.
    model
        Folder of an earlier 'zsdeconv sim' of the same set-up, whose model is applied instead of
        training one.
    adapt
        With --model: training steps on every time point, by a copy of the model of its own
        (the paper: 50) [default: none].
    json
        Write one JSON document to standard output.
    """
    from zsdeconv.checkpoint import MODEL_FILE, model_folder, require_state
    from zsdeconv.outputs import MODEL_FOLDER, check_folder, output_paths
    from zsdeconv.selection import select_acquisition
    from zsdeconv.series import TRAINED_ON

    if trained_on is not None and time != "all":
        raise UsageError(
            "One time point alone is trained on.", expected="--time all",
            got=f"--trained-on {trained_on}", where="--trained-on",
        )  # fmt: skip
    if adapt is not None and model is None:
        raise UsageError("There is no model to adapt.", expected="--model FOLDER", where="--adapt")
    if model is not None:
        require_training(launch(), "sim --model")
        _refuse_training(train, trained_on, pairs, resume)
    report = Reporter(json)
    file = file or FileOptions()
    settings, engine = sim_settings(file, train)
    if model is not None:
        _refuse_settings(settings, engine)
    if pairs is not None:
        settings = build_settings(**{**settings.model_dump(), "pairs": pairs})
    volume = engine.reconstruction.mode in VOLUME_MODES
    say_device(report, settings, engine)
    paths = expand_paths(files)
    weights = None if model is None else model_folder(model) / MODEL_FILE
    others = (*(otf or ()), pattern, weights, file.config, *engine.camera.files)
    check_overwrite(output_paths(output), [*paths, *(Path(p) for p in others if p is not None)])
    check_folder(output)
    if resume:
        require_state(output / MODEL_FOLDER)
    stack = load_stack(files, engine)
    chosen: dict[str, Any] = {"channel": channel, "plane": plane}
    first = 0 if time == "all" else time
    one = select_acquisition(stack, time=first, volume=volume, **chosen)
    facts: dict[str, Any] = {
        "inputs": describe_files(paths),
        "otf_files": describe_files(otf or []),
        "acquisition": {
            "time": 0 if time is None else time,
            "channel": channel or 0,
            "plane": None if volume else plane or 0,
        },
    }
    given: dict[str, Any] = {
        "otf": None if (otfs := load_otfs(otf, one, engine)) is None else otfs[0],
        "pattern": None if pattern is None else read_patterns(pattern, one.optics),
    }
    if model is not None:
        whole = stack if time == "all" else one
        if time == "all":
            given |= chosen
        return run_model(report, whole, model, adapt, settings.device, engine, output, facts, given)
    given["resume"] = resume
    title = paths[0].name if len(paths) == 1 else f"{paths[0].name} and {len(paths) - 1} more"
    if time == "all":
        given |= {"trained_on": trained_on or TRAINED_ON, **chosen}
        return run_series(report, stack, settings, engine, output, facts, title, given)
    return run_sim(report, one, settings, engine, output, facts, title, given)[0]


def _refuse_training(
    train: TrainOptions | None, trained_on: int | None, pairs: str | None, resume: bool
) -> None:
    """Options of a training beside a model that is there already.

    Raises
    ------
    UsageError
    """
    given = [
        f"--{n.removesuffix('_s')}" for n in (train or TrainOptions()).given() if n != "device"
    ]
    extra = {"--trained-on": trained_on, "--pairs": pairs, "--resume": resume or None}
    given += [name for name, value in extra.items() if value is not None]
    if given:
        raise UsageError(
            "A model that is given is not trained.",
            expected="--model without options of a training", got=" ".join(given), where="--model",
            hint="steps on every time point: --adapt 50",
        )  # fmt: skip


def _refuse_settings(settings: ZsSettings, engine: Settings) -> None:
    """Settings of ``--set`` or ``--config``, where the model brings its own.

    Raises
    ------
    UsageError
    """
    volume = engine.reconstruction.mode in VOLUME_MODES
    plain = build_settings(**(VOLUME_DEFAULTS if volume else {})).model_dump()
    given = settings.model_dump()
    changed = [f"zsdeconv.{k}" for k in plain if k != "device" and given[k] != plain[k]]
    if changed:
        raise UsageError(
            "A model that is given brings the settings of its training.",
            expected="of zsdeconv's settings no other than device", got=", ".join(changed),
            where="--set, --config", hint="leave them out",
        )  # fmt: skip

"""``zsdeconv sim``: reconstruct raw frames, train on their own noise, enhance."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from simrecon.errors import UsageError
from simrecon.io import check_overwrite, read, read_otf, read_patterns
from simrecon.io.reader import expand_paths
from simrecon.model.mode import VOLUME_MODES
from simrecon.provenance import describe_files
from simrecon.shell import Reporter
from simrecon.shell_options import FileOptions
from zsdeconv.commands.common import run_series, run_sim, say_device
from zsdeconv.config import build_settings
from zsdeconv.options import TrainOptions, sim_settings


def sim(
    files: list[str],
    /,
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    file: FileOptions | None = None,
    train: TrainOptions | None = None,
    otf: Path | None = None,
    pattern: Path | None = None,
    time: int | Literal["all"] | None = None,
    trained_on: Annotated[int | None, Parameter(validator=Number(gte=1))] = None,
    channel: int | None = None,
    plane: int | None = None,
    pairs: Literal["recorrupted", "realigned"] | None = None,
    resume: bool = False,
    json: bool = False,
) -> int:
    """Reconstruct raw SIM frames, train on their own noise, and enhance the picture or volume.

    Writes DIR/{sim,variance,denoised,deconvolved,uncertainty,consistency}.ome.tif (float32
    photo-electrons), overview.png, pattern.json, qc.json and model/. With --time all one network
    serves all time points; sim, variance, denoised and deconvolved are then movies, and the
    patterns are in qc.json.

    Parameters
    ----------
    files
        Raw frames: a TIFF, OME-TIFF or MRC/DV file, or single-page TIFFs, a folder or a glob.
    output
        Folder to write.
    otf
        Measured OTF or PSF file [default: theoretical].
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
    json
        Write one JSON document to standard output.
    """
    from zsdeconv.checkpoint import require_state
    from zsdeconv.outputs import MODEL_FOLDER, check_folder, output_paths
    from zsdeconv.selection import select_acquisition
    from zsdeconv.series import TRAINED_ON

    if trained_on is not None and time != "all":
        raise UsageError(
            "One time point alone is trained on.", expected="--time all",
            got=f"--trained-on {trained_on}", where="--trained-on",
        )  # fmt: skip
    report = Reporter(json)
    file = file or FileOptions()
    settings, engine = sim_settings(file, train)
    if pairs is not None:
        settings = build_settings(**{**settings.model_dump(), "pairs": pairs})
    volume = engine.reconstruction.mode in VOLUME_MODES
    say_device(report, settings, engine)
    paths = expand_paths(files)
    others = (otf, pattern, file.config, *engine.camera.files)
    check_overwrite(output_paths(output), [*paths, *(Path(p) for p in others if p is not None)])
    check_folder(output)
    if resume:
        require_state(output / MODEL_FOLDER)
    stack = read(files, mode=engine.reconstruction.mode, **engine.reader_overrides())
    chosen: dict[str, Any] = {"channel": channel, "plane": plane}
    first = 0 if time == "all" else time
    one = select_acquisition(stack, time=first, volume=volume, **chosen)
    facts: dict[str, Any] = {
        "inputs": describe_files(paths),
        "otf_files": describe_files([] if otf is None else [otf]),
        "acquisition": {
            "time": 0 if time is None else time,
            "channel": channel or 0,
            "plane": None if volume else plane or 0,
        },
    }
    given: dict[str, Any] = {
        "otf": None if otf is None else read_otf(otf, one.optics[0]),
        "pattern": None if pattern is None else read_patterns(pattern, one.optics),
        "resume": resume,
    }
    title = paths[0].name if len(paths) == 1 else f"{paths[0].name} and {len(paths) - 1} more"
    if time == "all":
        given |= {"trained_on": trained_on or TRAINED_ON, **chosen}
        return run_series(report, stack, settings, engine, output, facts, title, given)
    return run_sim(report, one, settings, engine, output, facts, title, given)[0]

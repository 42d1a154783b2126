"""``zsdeconv train``: one model on pictures or movies."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from simrecon.errors import UsageError
from simrecon.shell import Reporter
from zsdeconv.config import build_settings
from zsdeconv.options import TrainOptions
from zsdeconv.picture_options import PictureOptions


def train(
    files: list[str],
    /,
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    picture: PictureOptions | None = None,
    train: TrainOptions | None = None,
    pictures: int = 16,
    pairs: Literal["recorrupted", "temporal"] | None = None,
    upsampling: Literal[1, 2] = 1,
    resume: bool = False,
    json: bool = False,
) -> int:
    """Train one model on a picture, a set of pictures or a movie of one set-up.

    Writes DIR/model/ for 'zsdeconv predict' and 'zsdeconv adapt', and what it makes of the middle
    picture as 'zsdeconv image' does: pictures, overview.png and qc.json say whether it is good.

    Parameters
    ----------
    files
        Pictures or movies: TIFF, OME-TIFF or MRC/DV files, folders or globs.
    output
        Folder to write.
    pictures
        At most so many pictures are trained on, evenly spread over all (pairs in time: the middle
        ones of the movie).
    pairs
        What the network learns from: recorrupted (copies by the camera's noise), or temporal (every
        picture of a movie by the one before or after, with no noise model; for what moves less than
        the resolution between two pictures) [default: recorrupted].
    upsampling
        2: estimate the object on a grid twice as fine as the camera's, which holds 1.5 times the
        cut-off of pictures sampled near their Nyquist frequency (four times the work).
    resume
        Continue an interrupted training in the same folder.
    json
        Write one JSON document to standard output.
    """
    from zsdeconv.commands.pictures import prepare_run, train_and_write

    if pictures < 1:
        raise UsageError("At least one picture is needed.", got=str(pictures), where="--pictures")
    report = Reporter(json)
    run = prepare_run(report, files, output, picture, train, resume, upsampling)
    if pairs is not None:
        settings = build_settings(**{**run.settings.model_dump(), "pairs": pairs})
        run = replace(run, settings=settings)
    return train_and_write(report, run, output, resume, pictures)[0]

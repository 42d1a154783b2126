"""``zsdeconv image``: train on one picture and enhance it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from simrecon.errors import UsageError
from simrecon.shell import Reporter
from zsdeconv.options import TrainOptions
from zsdeconv.picture_options import PictureOptions


def image(
    file: str,
    /,
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    picture: PictureOptions | None = None,
    train: TrainOptions | None = None,
    upsampling: Literal[1, 2] = 1,
    resume: bool = False,
    json: bool = False,
) -> int:
    """Train on one noisy picture (widefield, TIRF, confocal, two-photon) and enhance it.

    Writes DIR/{image,variance,denoised,deconvolved,uncertainty,consistency}.ome.tif (float32
    photo-electrons), overview.png, qc.json and model/ (for 'zsdeconv predict').

    Parameters
    ----------
    file
        A picture: TIFF, OME-TIFF or MRC/DV, as the camera gave it.
    output
        Folder to write.
    upsampling
        2: estimate the object on a grid twice as fine as the camera's, which holds 1.5 times the
        cut-off of pictures sampled near their Nyquist frequency (four times the work).
    resume
        Continue an interrupted training in the same folder.
    json
        Write one JSON document to standard output.
    """
    from zsdeconv.commands.pictures import prepare_run, train_and_write

    report = Reporter(json)
    run = prepare_run(report, [file], output, picture, train, resume, upsampling)
    count = sum(f.count for f in run.files)
    if count != 1:
        raise UsageError(
            "This works on one picture.",
            expected="one picture",
            got=f"{count} pictures",
            where=file,
            hint="'zsdeconv train' makes one model of all, 'zsdeconv predict' applies it",
        )
    return train_and_write(report, run, output, resume, 1)[0]

"""``zsdeconv predict``: apply a trained model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from simrecon.shell import Reporter
from zsdeconv.options import TrainOptions
from zsdeconv.picture_options import PictureOptions


def predict(
    files: list[str],
    /,
    *,
    model: Path,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    picture: PictureOptions | None = None,
    device: str | None = None,
    json: bool = False,
) -> int:
    """Denoise and deconvolve pictures and movies with a model of 'zsdeconv train' or 'image'.

    Writes OUT/NAME.denoised.ome.tif and OUT/NAME.deconvolved.ome.tif (float32 photo-electrons) for
    every file, and qc.json. One picture is in memory at a time; pictures of any size, in tiles.

    Parameters
    ----------
    files
        Pictures or movies of the model's set-up.
    model
        Folder of the training, or its model/ folder.
    output
        Folder to write.
    device
        auto, cpu or cuda:N [default: auto].
    json
        Write one JSON document to standard output.
    """
    from zsdeconv.commands.pictures import restore_files

    return restore_files(
        Reporter(json), files, model, output, picture or PictureOptions(),
        TrainOptions(device=device), "prediction",
    )  # fmt: skip

"""``zsdeconv adapt``: test-time adaptation of a general model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from simrecon.errors import UsageError
from simrecon.shell import Reporter
from zsdeconv.options import TrainOptions
from zsdeconv.picture_options import PictureOptions


def adapt(
    files: list[str],
    /,
    *,
    model: Path,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    iterations: int = 50,
    save_model: bool = False,
    picture: PictureOptions | None = None,
    device: str | None = None,
    json: bool = False,
) -> int:
    """Adapt a model to every single picture (time point) by some steps on it, then apply it.

    For samples that change: each picture is restored by its own copy of the general model. Writes
    what 'zsdeconv predict' writes.

    Parameters
    ----------
    files
        Pictures or movies of the model's set-up.
    model
        Folder of the general training, or its model/ folder.
    output
        Folder to write.
    iterations
        Training steps on every picture.
    save_model
        Keep the adapted models too: models/NAME_0001, … (one for every picture of NAME), each a
        model for 'zsdeconv predict' or 'adapt'.
    device
        auto, cpu or cuda:N [default: auto].
    json
        Write one JSON document to standard output.
    """
    from zsdeconv.commands.pictures import Adaptation, restore_files

    if iterations < 1:
        raise UsageError("At least one step is needed.", got=str(iterations), where="--iterations")
    return restore_files(
        Reporter(json), files, model, output, picture or PictureOptions(),
        TrainOptions(device=device), f"adaptation, {iterations} steps per picture",
        Adaptation(iterations, save_model),
    )  # fmt: skip

"""``zsdeconv deconvolve``: classical deconvolution, no training."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from simrecon.errors import UsageError
from simrecon.shell import Reporter
from zsdeconv.picture_options import PictureOptions


def deconvolve(
    file: str,
    /,
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    picture: PictureOptions | None = None,
    method: Literal["rl", "sparse"] = "rl",
    stop: Literal["discrepancy", "held-out"] | None = None,
    iterations: int | None = None,
    momentum: Literal["biggs", "heavy-ball", "none"] = "biggs",
    tv: float = 0.0,
    strength: float = 0.4,
    continuity: float = 0.0,
    background_e: float | None = None,
    volume: bool = False,
    dz_um: float | None = None,
    psf_dz_um: float | None = None,
    time: int | None = None,
    seed: int = 0,
    json: bool = False,
) -> int:
    """Deconvolve a picture, a movie or a volume by a classical method; no training.

    Writes one OME-TIFF in float32 photo-electrons.

    Parameters
    ----------
    file
        A picture, a movie or (--volume) a stack of planes: TIFF, OME-TIFF or MRC/DV, as the camera
        gave it.
    output
        Picture to write, .ome.tif (recommended) or .tif.
    method
        rl: Richardson–Lucy; sparse: sparse deconvolution (denoises first).
    stop
        discrepancy: the residual is as small as the noise; held-out: an independent copy of the
        data is predicted best [default: discrepancy for rl, held-out for sparse].
    iterations
        Exact number of Richardson–Lucy iterations, instead of --stop.
    momentum
        Acceleration of rl.
    tv
        Total variation of rl, in units of the noise; 0.2 to 0.4 is a good try.
    strength
        Of sparse, in units of the noise.
    continuity
        Of sparse, between frames or planes: 1 as between pixels, 0 none [default: 0].
    background_e
        Of sparse: background, photo-electrons [default: estimated].
    volume
        The file is one volume: deconvolve along z as well.
    dz_um
        Of a volume: distance between planes, µm [default: from the file].
    psf_dz_um
        Of a volume: distance between the planes of --psf, µm [default: from its file].
    time
        Of a volume: time point, from 0; needed where there are several.
    seed
        Seed of the copies that held-out draws.
    json
        Write one JSON document to standard output.
    """
    from zsdeconv.commands.classical import VolumeChoice, run_classical

    only = {"--dz-um": dz_um, "--psf-dz-um": psf_dz_um, "--time": time}
    extra = [name for name, value in only.items() if value is not None]
    if extra and not volume:
        raise UsageError("This is for volumes.", expected="--volume", where=", ".join(extra))
    picture = picture or PictureOptions()
    values = {
        "method": method, "stop": iterations if iterations is not None else stop,
        "momentum": momentum, "tv": tv, "strength": strength, "continuity": continuity,
        "background_e": background_e, "seed": seed,
    }  # fmt: skip
    choice = VolumeChoice(dz_um, psf_dz_um, time) if volume else None
    return run_classical(Reporter(json), file, output, picture, choice, values)

"""The program ``zsdeconv``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from simrecon.backend import select_device
from simrecon.config import Settings
from simrecon.errors import UsageError
from simrecon.io import check_overwrite, read, read_otf, read_patterns, write_raw
from simrecon.io.reader import expand_paths
from simrecon.model.mode import VOLUME_MODES
from simrecon.model.stack import SimStack
from simrecon.provenance import describe_files
from simrecon.shell import EXIT_OK, EXIT_QUALITY, Reporter, command_line, execute, make_app
from simrecon.shell_options import FileOptions
from zsdeconv.config import ZsSettings
from zsdeconv.options import TrainOptions, both_settings, to_toml

app = make_app("zsdeconv", "Zero-shot denoising and deconvolution, trained on the data themselves.")


@app.command
def sim(
    files: list[str],
    /,
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    file: FileOptions | None = None,
    train: TrainOptions | None = None,
    otf: Path | None = None,
    pattern: Path | None = None,
    time: int | None = None,
    channel: int | None = None,
    plane: int | None = None,
    resume: bool = False,
    json: bool = False,
) -> int:
    """Reconstruct raw SIM frames, train on their own noise, and enhance the picture.

    Writes DIR/{sim,variance,denoised,deconvolved,uncertainty,consistency}.ome.tif (float32
    photo-electrons), overview.png, pattern.json, qc.json and model/.

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
        Time point, from 0; needed where there are several [default: the only one].
    channel
        Channel, from 0; needed where there are several [default: the only one].
    plane
        Plane, from 0; needed where there are several [default: the only one].
    resume
        Continue an interrupted training in the same folder.
    json
        Write one JSON document to standard output.
    """
    from zsdeconv.checkpoint import require_state
    from zsdeconv.outputs import MODEL_FOLDER, check_folder, output_paths
    from zsdeconv.selection import select_acquisition

    report = Reporter(json)
    file = file or FileOptions()
    settings, engine = both_settings(file, train)
    _refuse_volumes(engine)
    _say_device(report, settings, engine)
    paths = expand_paths(files)
    others = (otf, pattern, file.config, *engine.camera.files)
    check_overwrite(output_paths(output), [*paths, *(Path(p) for p in others if p is not None)])
    check_folder(output)
    if resume:
        require_state(output / MODEL_FOLDER)
    stack = read(files, mode=engine.reconstruction.mode, **engine.reader_overrides())
    stack = select_acquisition(stack, time=time, channel=channel, plane=plane)
    facts: dict[str, Any] = {
        "inputs": describe_files(paths),
        "otf_files": describe_files([] if otf is None else [otf]),
        "acquisition": {"time": time or 0, "channel": channel or 0, "plane": plane or 0},
    }
    given: dict[str, Any] = {
        "otf": None if otf is None else read_otf(otf, stack.optics[0]),
        "pattern": None if pattern is None else read_patterns(pattern, stack.optics),
        "resume": resume,
    }
    title = paths[0].name if len(paths) == 1 else f"{paths[0].name} and {len(paths) - 1} more"
    return _run(report, stack, settings, engine, output, facts, title, given)[0]


def _refuse_volumes(engine: Settings) -> None:
    """The networks of this version work on planes.

    Raises
    ------
    UsageError
    """
    mode = engine.reconstruction.mode
    if mode in VOLUME_MODES:
        raise UsageError(
            "The enhancement works on planes; volumes are not done in this version.",
            expected="a mode of planes, such as 2d",
            got=mode,
            where="--mode",
            hint="'simrecon reconstruct --mode 3d' makes the volume with its variance",
        )


@app.command
def demo(
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])] = Path("zsdeconv-demo"),
    size: int = 256,
    peak_e: float = 100.0,
    train: TrainOptions | None = None,
    set: list[str] | None = None,
    json: bool = False,
) -> int:
    """Simulate a dim acquisition, do everything to it, and compare with the truth.

    Parameters
    ----------
    output
        Folder to write; the simulated frames become raw.ome.tif in it.
    size
        Camera pixels per side.
    peak_e
        Photo-electrons per frame in the brightest places.
    set
        One setting, a.b=c or zsdeconv.b=c; may be repeated; see 'zsdeconv config'.
    json
        Write one JSON document to standard output.
    """
    from simrecon.inspection import inspect
    from zsdeconv.demo import scores, simulate_scene
    from zsdeconv.outputs import check_folder

    report = Reporter(json)
    settings, engine = both_settings(FileOptions(set=set), train)
    if settings.budget_s is None and settings.iterations is None:
        settings = settings.model_copy(update={"budget_s": 150.0})
    _say_device(report, settings, engine)
    check_folder(output).mkdir(parents=True, exist_ok=True)
    scene = simulate_scene(size=size, peak_e=peak_e, seed=settings.seed)
    write_raw(output / "raw.ome.tif", scene.stack, provenance={"source": "zsdeconv demo"})
    stack = read([str(output / "raw.ome.tif")])
    report.say(inspect(stack).to_text())
    facts = {"inputs": describe_files([output / "raw.ome.tif"])}
    title = f"simulated, {peak_e:g} photo-electrons peak per raw frame"
    code, enhanced = _run(report, stack, settings, engine, output, facts, title, {}, last=False)
    found = scores(scene, enhanced)
    lines = [*enhanced.qc["reasons"], "against the truth (PSNR at 1.5 × the SIM resolution): "
             + ", ".join(f"{k} {v:.1f} dB" for k, v in found.items()),
             f"look at {output / 'overview.png'}"]  # fmt: skip
    report.finish({"psnr_db": found, **enhanced.qc}, "\n".join(lines))
    return code


@app.command
def info(model: Path, /, *, json: bool = False) -> int:
    """Say what a model is and what it was trained on.

    Parameters
    ----------
    model
        The model/ folder of an enhancement (or the folder that holds it).
    json
        Write one JSON document to standard output.
    """
    from zsdeconv.checkpoint import MODEL_FILE, read_model

    folder = model if (model / MODEL_FILE).exists() else model / "model"
    tensors, facts = read_model(folder)
    settings = facts["settings"]
    lines = [
        f"network: {settings['network']}, {facts['parameters']:,} parameters "
        f"in {len(tensors)} tensors",
        f"trained: {facts['iterations']} steps in {facts['training_s']:.0f} s, "
        f"loss {settings['loss']}, seed {settings['seed']}",
        f"output pixel: {facts['pixel_um'] * 1000:.2f} nm, scale {facts['scale']:.4g} e",
        f"data: sha256 {facts['data'][:16]}…",
    ]
    Reporter(json).finish(facts, "\n".join(lines))
    return EXIT_OK


@app.command
def config(*, json: bool = False) -> None:
    """Show the settings of zsdeconv with their defaults, as the table of a --config file.

    One of them is set with --set zsdeconv.NAME=VALUE; the engine's are in 'simrecon config show'.

    Parameters
    ----------
    json
        Write JSON instead.
    """
    settings = ZsSettings()
    Reporter(json).finish(settings.model_dump(mode="json"), to_toml(settings))


def _say_device(report: Reporter, settings: ZsSettings, engine: Settings) -> None:
    """Say where training runs, and refuse a GPU that either part cannot use."""
    from zsdeconv.bridge import select_device as select_training_device

    report.device(select_training_device(settings.device))
    select_device(engine.reconstruction.device)


def _run(
    report: Reporter,
    stack: SimStack,
    settings: ZsSettings,
    engine: Settings,
    output: Path,
    facts: dict[str, Any],
    title: str,
    given: dict[str, Any],
    last: bool = True,
) -> tuple[int, Any]:
    """Plan, enhance, write, report."""
    from zsdeconv.enhancement import enhance
    from zsdeconv.outputs import MODEL_FOLDER, write_enhanced
    from zsdeconv.plan import plan

    expected = plan(stack, settings, engine.reconstruction.zoom)
    report.say(expected.to_text())
    with report.progress() as progress:
        enhanced = enhance(
            stack, settings, engine=engine, folder=output / MODEL_FOLDER, progress=progress, **given
        )
    made = {
        **enhanced.provenance,
        **facts,
        "command": command_line("zsdeconv"),
        "plan": expected.to_dict(),
    }
    written = write_enhanced(enhanced, output, provenance=made, title=title)
    code = EXIT_OK if enhanced.passed else EXIT_QUALITY
    if last:
        lines = [*enhanced.qc["reasons"], *(f"wrote {p}" for p in written)]
        report.finish({"files": [str(p) for p in written], **enhanced.qc}, "\n".join(lines))
    return code, enhanced


def run() -> None:
    """Entry point of the console script."""
    sys.exit(execute(app))


if __name__ == "__main__":
    run()

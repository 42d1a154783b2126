"""``zsdeconv demo``: a simulated acquisition, enhanced and compared with the truth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from simrecon.config import Settings
from simrecon.io import read, write_raw
from simrecon.provenance import describe_files
from simrecon.shell import Reporter
from simrecon.shell_options import FileOptions
from zsdeconv.commands.common import run_sim, say_device
from zsdeconv.config import ZsSettings
from zsdeconv.options import TrainOptions, both_settings
from zsdeconv.picture_options import PictureOptions


def demo(
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])] = Path("zsdeconv-demo"),
    size: int = 256,
    peak_e: float = 100.0,
    picture: bool = False,
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
    picture
        One widefield picture instead of raw SIM frames.
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
    say_device(report, settings, engine)
    check_folder(output).mkdir(parents=True, exist_ok=True)
    if picture:
        return _picture(report, settings, output, size, peak_e)
    scene = simulate_scene(size=size, peak_e=peak_e, seed=settings.seed)
    write_raw(output / "raw.ome.tif", scene.stack, provenance={"source": "zsdeconv demo"})
    stack = read([str(output / "raw.ome.tif")])
    report.say(inspect(stack).to_text())
    facts = {"inputs": describe_files([output / "raw.ome.tif"])}
    title = f"simulated, {peak_e:g} photo-electrons peak per raw frame"
    code, enhanced = run_sim(report, stack, settings, engine, output, facts, title, {}, last=False)
    found = scores(scene, enhanced)
    lines = [*enhanced.qc["reasons"], "against the truth (PSNR at 1.5 × the SIM resolution): "
             + ", ".join(f"{k} {v:.1f} dB" for k, v in found.items()),
             f"look at {output / 'overview.png'}"]  # fmt: skip
    report.finish({"psnr_db": found, **enhanced.qc}, "\n".join(lines))
    return code


def _picture(report: Reporter, settings: ZsSettings, output: Path, size: int, peak_e: float) -> int:
    """The same for one widefield picture, through the file that 'zsdeconv image' reads."""
    from zsdeconv.commands.pictures import picture_run, train_and_write
    from zsdeconv.demo_picture import picture_scores, simulate_picture

    scene = simulate_picture(size=size, peak_e=peak_e, seed=settings.seed)
    path = output / "picture.ome.tif"
    write_raw(path, scene.stack, provenance={"source": "zsdeconv demo"})
    run = picture_run(report, [str(path)], PictureOptions(), settings, Settings())
    code, made = train_and_write(report, run, output, False, 1, last=False)
    found = picture_scores(scene, made)
    lines = [*made.qc["reasons"], "against the truth (PSNR): "
             + ", ".join(f"{k} {v:.1f} dB" for k, v in found.items()),
             f"look at {output / 'overview.png'}"]  # fmt: skip
    report.finish({"psnr_db": found, **made.qc}, "\n".join(lines))
    return code

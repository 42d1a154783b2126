"""What several commands share."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from simrecon.backend import select_device
from simrecon.config import Settings
from simrecon.model.stack import SimStack
from simrecon.provenance import describe_files
from simrecon.shell import EXIT_OK, EXIT_QUALITY, Reporter, command_line
from zsdeconv.config import ZsSettings


def say_device(report: Reporter, settings: ZsSettings, engine: Settings) -> None:
    """Say where training runs, and refuse a GPU that either part cannot use."""
    from zsdeconv.bridge import select_device as select_training_device

    report.device(select_training_device(settings.device))
    select_device(engine.reconstruction.device)


def run_series(
    report: Reporter,
    stack: SimStack,
    settings: ZsSettings,
    engine: Settings,
    output: Path,
    facts: dict[str, Any],
    title: str,
    given: dict[str, Any],
) -> int:
    """Plan, train on some time points, restore and write all of them, report."""
    from zsdeconv.interrupt import trained
    from zsdeconv.outputs import MODEL_FOLDER
    from zsdeconv.plan import plan
    from zsdeconv.series import train_series
    from zsdeconv.series_files import write_series

    times = int(stack.data.shape[0])
    learned = min(times, given["trained_on"])
    expected = plan(stack, settings, engine.reconstruction.zoom, learned)
    report.say(f"{expected.to_text()}; then {times} time points one by one")
    with report.progress() as progress:
        series = train_series(
            stack, settings, engine=engine, folder=output / MODEL_FOLDER, progress=progress, **given
        )
        made = {
            **series.trained.provenance, **facts, "command": command_line("zsdeconv"),
            "plan": expected.to_dict(),
        }  # fmt: skip
        with trained(output / MODEL_FOLDER):
            found, written = write_series(
                series, output, provenance=made, title=f"{title}, time point {series.judged}",
                progress=progress,
            )  # fmt: skip
    lines = [*found["reasons"], *(f"wrote {p}" for p in written)]
    report.finish({"files": [str(p) for p in written], **found}, "\n".join(lines))
    return EXIT_OK if found["verdict"] == "ok" else EXIT_QUALITY


def run_sim(
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


def run_model(
    report: Reporter,
    stack: SimStack,
    model: Path,
    adapt: int | None,
    device: str,
    engine: Settings,
    output: Path,
    facts: dict[str, Any],
    given: dict[str, Any],
) -> int:
    """Apply a model of another recording to every time point, or adapt it to each; report."""
    from zsdeconv.checkpoint import MODEL_FILE, model_folder
    from zsdeconv.series_files import write_restored
    from zsdeconv.sim_model import SimModel
    from zsdeconv.time_points import Recording

    learned = SimModel.read(model, device=device)
    recording = Recording(stack, learned.settings, engine, **given)
    restore = learned.predict if adapt is None else partial(learned.adapted, iterations=adapt)
    made = {
        "method": "prediction" if adapt is None else f"adaptation, {adapt} steps per time point",
        **facts, "command": command_line("zsdeconv"),
        "model": describe_files([model_folder(model) / MODEL_FILE]),
        "versions": learned.facts["versions"],
    }  # fmt: skip
    with report.progress() as progress:
        found, written = write_restored(
            recording, restore, output, provenance=made, progress=progress
        )
    lines = [*found["reasons"], *(f"wrote {p}" for p in written)]
    report.finish({"files": [str(p) for p in written], **found}, "\n".join(lines))
    return EXIT_OK if found["verdict"] == "ok" else EXIT_QUALITY

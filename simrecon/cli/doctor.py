"""``simrecon doctor``: is this installation healthy, and what can it use?"""

from __future__ import annotations

import os
import tempfile
import time
from importlib import metadata
from typing import Any

import numpy as np

from simrecon import backend
from simrecon.physics.simulate import simulate
from simrecon.provenance import versions
from simrecon.recon.operator import Reconstructor
from simrecon.shell import EXIT_OK, EXIT_QUALITY, Reporter

OPTIONAL = {
    "torch": "zsdeconv: training and prediction",
    "matplotlib": "extra 'report': figures",
    "cupy-cuda12x": "extra 'cuda12': the engine on NVIDIA GPUs",
    "cupy-cuda13x": "extra 'cuda13': the engine on NVIDIA GPUs",
}
SELF_TEST_TOLERANCE = 0.02


def doctor(*, json: bool = False) -> int:
    """Check the installation: versions, devices, memory, and a small reconstruction.

    Parameters
    ----------
    json
        Write one JSON document.
    """
    report = Reporter(json)
    report.device(backend.select_device("auto"))
    gpu = backend.gpu_status()
    facts: dict[str, Any] = {
        "versions": versions(),
        "optional": {name: _installed(name) for name in OPTIONAL},
        "gpu": {"usable": gpu.usable, "reason": gpu.reason},
        "cores": backend.usable_cores(),
        "memory_gb": _memory_gb(),
        "temporary_folder": tempfile.gettempdir(),
    }
    facts["self_test"] = self_test()
    healthy = bool(facts["self_test"]["ok"])
    facts["healthy"] = healthy
    report.finish(facts, _text(facts))
    return EXIT_OK if healthy else EXIT_QUALITY


def self_test() -> dict[str, Any]:
    """Simulate a small stack and reconstruct it with the true pattern."""
    start = time.perf_counter()
    stack, truth = simulate(shape=(64, 64), kind="constant", peak_e=1000.0, seed=1)
    frames = stack.frames_e()
    operator = Reconstructor.from_frames(
        frames, truth.pattern, truth.otf, stack.grid, frame_variance_e2=1000.0
    )
    image = operator.reconstruct(frames)
    error = float(np.abs(image.mean() / frames.mean() - 1.0))
    return {
        "ok": bool(np.isfinite(image).all() and error < SELF_TEST_TOLERANCE),
        "flux_error": error,
        "seconds": round(time.perf_counter() - start, 3),
    }


def _installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _memory_gb() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)
    except (AttributeError, ValueError, OSError):  # not every platform says
        return None


def _text(facts: dict[str, Any]) -> str:
    lines = [f"{name:>12}  {version}" for name, version in facts["versions"].items()]
    for name, version in facts["optional"].items():
        lines.append(f"{name:>12}  {version or 'not installed'}  ({OPTIONAL[name]})")
    memory = facts["memory_gb"]
    lines.append(f"{'cores':>12}  {facts['cores']}")
    lines.append(f"{'memory':>12}  {f'{memory} GB' if memory else 'unknown'}")
    lines.append(f"{'gpu':>12}  {facts['gpu']['reason']}")
    test = facts["self_test"]
    lines.append(
        f"{'self-test':>12}  {'ok' if test['ok'] else 'FAILED'}: simulated stack reconstructed in "
        f"{test['seconds']} s, flux off by {100 * test['flux_error']:.2g} %"
    )
    return "\n".join(lines)

r"""Whether ``torch.compile`` makes a training shorter, and after how many steps.

    OMP_NUM_THREADS=1 python benchmarks/bench_compile.py

A 256² picture of filaments at 25 photo-electrons (``bench_figure1.py``), the default network, loss,
optimiser and batch. Each row is a process of its own: as it is ("eager"), compiled with an empty
cache of kernels, and compiled again with the cache that this left. Compiled networks have their
channels first, and inductor must leave them there: ``channels_last`` of the results says what
becomes of a network as it trains, its channels last in memory (1.4 times as fast uncompiled).

``first_s`` is the wall time of the first step with everything that it waits for, ``again_s`` that
of the first with re-simulated patches, which have another batch size; ``step_s`` and ``late_s`` are
medians of the processor seconds of the steps after them. ``pays_after`` is the number of steps
after which the compiled training is ahead, and None: never.
Results go to ``results/compile.json`` as they come.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from statistics import median
from typing import Any

from bench_figure1 import measurement
from bench_time_to_quality import recording
from common import save, table

from zsdeconv import ZsSettings
from zsdeconv.bridge import select_device, threads, torch_device
from zsdeconv.train import step
from zsdeconv.training import prepare

WAYS = {"eager": "eager", "compiled": "plain", "compiled again": "plain"}


def timed_steps(run: Any, count: int) -> tuple[float, float]:
    """Wall seconds of the first step, and median processor seconds of `count` more."""
    begun = time.perf_counter()
    step(run)
    first = time.perf_counter() - begun
    used = []
    for _ in range(count):
        begun = time.process_time()
        step(run)
        used.append(time.process_time() - begun)
    return first, median(used)


def one(patch: int, precision: str, how: str, steps: int) -> dict[str, float]:
    """A training in this process."""
    count = 2 * steps + 2
    settings = ZsSettings(patch=patch, precision=precision, iterations=count, warmup=0.5)
    run = prepare(measurement(recording(256, 100)[0]), settings, torch_device(select_device("cpu")))
    if how == "plain":
        for p in run.network.parameters():
            p.data = p.data.contiguous()
    if how != "eager":
        run.network.compile()
    first, middle = timed_steps(run, steps)
    again, late = timed_steps(run, steps)
    return {"first_s": first, "step_s": middle, "again_s": again, "late_s": late}


def in_a_process(patch: int, precision: str, how: str, steps: int, cache: str) -> dict[str, float]:
    """The same in a process of its own, with the kernels in `cache`."""
    program = [sys.executable, __file__, "--one", str(patch), precision, how,
               "--steps", str(steps)]  # fmt: skip
    environment = {**os.environ, "TORCHINDUCTOR_CACHE_DIR": cache}
    if how == "plain":
        environment["TORCHINDUCTOR_LAYOUT_OPTIMIZATION"] = "0"
    done = subprocess.run(program, env=environment, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise ChildProcessError(done.stderr)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return {k: round(v, 4) for k, v in found.items()}


def pays_after(eager: dict[str, float], compiled: dict[str, float]) -> int | None:
    """Steps until what compiling costs is won back, a quarter of them without re-simulation."""
    won = 0.25 * (eager["step_s"] - compiled["step_s"])
    won += 0.75 * (eager["late_s"] - compiled["late_s"])
    cost = sum(compiled[k] - eager[k] for k in ("first_s", "again_s"))
    return round(cost / won) if won > 0 else None


def compared(patch: int, precision: str, steps: int) -> list[dict[str, Any]]:
    """The three ways."""
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as cache:
        for way, how in WAYS.items():
            found = in_a_process(patch, precision, how, steps, cache)
            row = {"patch": patch, "precision": precision, "way": way, **found}
            if rows:
                row["pays_after"] = pays_after(rows[0], found)
            rows.append(row)
            print(row, flush=True)
    return rows


def as_it_is(patch: int, precision: str) -> str:
    """What becomes of the network with its channels last, as it trains: "runs", or the error."""
    with tempfile.TemporaryDirectory() as cache:
        try:
            in_a_process(patch, precision, "as it is", 1, cache)
        except ChildProcessError as error:
            lines = [line for line in str(error).splitlines() if "Error" in line]
            return " ".join(lines)[:300]
    return "runs"


def main(argv: list[str] | None = None) -> None:
    """Run, print and save."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cases", nargs="*", metavar="PATCH:PRECISION",
                        default=("64:bfloat16", "128:bfloat16"))  # fmt: skip
    parser.add_argument("--steps", type=int, default=12, help="timed, before and after the warm-up")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    a = parser.parse_args(argv)
    if a.one:
        patch, precision, how = a.one
        print(json.dumps(one(int(patch), precision, how, a.steps)))
        return
    rows: list[dict[str, Any]] = []
    found: dict[str, Any] = {"threads": threads(), "rows": rows}
    for case in a.cases:
        patch, _, precision = case.partition(":")
        rows += compared(int(patch), precision, a.steps)
        save("compile", found)
    found["channels_last"] = as_it_is(64, "bfloat16")
    print(found["channels_last"])
    save("compile", found)
    header = ["patch", "precision", "way", "first_s", "step_s", "again_s", "late_s", "pays_after"]
    print(table(header, [[r.get(k) for k in header] for r in rows]))


if __name__ == "__main__":
    main()

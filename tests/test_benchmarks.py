"""What benchmarks report is what they say it is."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from processes import start
from small_training import arguments, write_picture

BENCHMARKS = str(Path(__file__).parents[1] / "benchmarks")


@pytest.fixture(scope="module")
def bench():
    sys.path.insert(0, BENCHMARKS)
    try:
        import bench_time_to_quality

        yield bench_time_to_quality
    finally:
        sys.path.remove(BENCHMARKS)


def largest_child_gb(children: Path, stop: threading.Event, found: list[float]) -> None:
    """Peak memory of the children of this process, as the system shows it from outside."""
    while not stop.wait(0.01):
        for child in children.read_text().split():
            try:
                status = Path(f"/proc/{child}/status").read_text()
                name = Path(f"/proc/{child}/cmdline").read_bytes()
            except OSError:
                continue
            for line in status.splitlines():
                if line.startswith("VmHWM:") and b"peak_memory_gb" in name:
                    found.append(float(line.split()[1]) * 1024 / 1e9)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="asks Linux")
def test_memory_of_a_prediction_is_that_of_its_process_alone(bench, tmp_path):
    """A parent with 1.5 GB in memory does not count."""
    picture = write_picture(tmp_path)
    start(arguments(picture, tmp_path / "made", iterations=2)).communicate(timeout=120)
    ballast = np.ones(1_500_000_000 // 8)
    assert ballast.sum() > 0
    for predict in (
        lambda: bench.by_call(tmp_path / "made", picture, 1)[1],
        lambda: bench.by_command(tmp_path / "made", picture, tmp_path / "out")[1],
    ):
        stop, seen = threading.Event(), [0.0]
        children = Path("/proc/self/task").resolve() / str(threading.get_native_id()) / "children"
        watch = threading.Thread(target=largest_child_gb, args=(children, stop, seen))
        watch.start()
        reported = predict()
        stop.set()
        watch.join()
        assert reported < 1.2
        assert reported == pytest.approx(max(seen), rel=0.1)

"""The house as measured: what an import loads, how long files are, what may be printed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = ("torch", "cupy", "cupyx", "matplotlib", "zarr", "napari", "tifffile", "rich", "cyclopts")
PROBE = """
import importlib, json, sys, time
start = time.perf_counter()
importlib.import_module(sys.argv[1])
print(json.dumps([time.perf_counter() - start, [m for m in sys.argv[2:] if m in sys.modules]]))
"""


def probe(module: str, *watched: str) -> tuple[float, list[str]]:
    done = subprocess.run(
        [sys.executable, "-c", PROBE, module, *watched],
        capture_output=True, text=True, check=True, cwd=ROOT,
    )  # fmt: skip
    seconds, loaded = json.loads(done.stdout)
    return seconds, loaded


def test_import_simrecon_is_light():
    seconds, loaded = probe("simrecon", *HEAVY, "numpy", "scipy", "pydantic")
    assert loaded == []
    assert seconds < 0.5


@pytest.mark.parametrize(
    "module", ["simrecon.pipeline", "simrecon.recon.operator", "simrecon.physics.simulate"]
)
def test_compute_code_loads_no_files_plots_or_torch(module):
    _, loaded = probe(module, *HEAVY)
    assert loaded == []


def test_the_probe_sees_what_is_loaded():
    assert probe("simrecon.io", "tifffile", "torch")[1] == ["tifffile"]


@pytest.mark.parametrize("module", ["simrecon.cli.main", "calibration.cli"])
def test_programs_of_the_engine_load_no_torch(module):
    assert probe(module, "torch", "cupy", "matplotlib")[1] == []


def test_top_level_names_exist():
    import simrecon

    for name in simrecon.__all__:
        assert getattr(simrecon, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = simrecon.nothing
    assert set(simrecon.__all__) <= set(dir(simrecon))


def test_readme_and_package_agree_on_the_version():
    import simrecon

    citation = (ROOT / "CITATION.cff").read_text()
    assert f"version: {simrecon.__version__}" in citation


def source_files() -> list[Path]:
    folders = ("simrecon", "zsdeconv", "calibration")
    return [p for folder in folders for p in (ROOT / folder).rglob("*.py")]


def test_files_stay_readable():
    long = {str(p.relative_to(ROOT)): n for p in source_files() if (n := len(_lines(p))) > 500}
    assert long == {}


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()

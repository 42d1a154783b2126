"""Where the real files are, if they are there at all."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def real(relative: str) -> Path:
    """Path below $SIMRECON_DATA or ../shared/data; skips the test with the reason if absent."""
    base = Path(os.environ.get("SIMRECON_DATA", ROOT.parent / "shared" / "data"))
    path = base / relative
    if not path.exists() and not list(path.parent.glob(path.name)):
        pytest.skip(f"real data not found: {path} (set SIMRECON_DATA)")
    return path

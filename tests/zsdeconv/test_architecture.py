"""NumPy and torch meet in one file only."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import zsdeconv

FOLDER = Path(zsdeconv.__file__).parent
CROSSINGS = {"from_numpy", "numpy", "as_tensor", "asarray", "from_dlpack"}
"""Attributes that convert when called on a tensor or on torch (``np.asarray`` is not one)."""


def crossings(source: str) -> list[str]:
    """``name:line`` of every call that turns arrays into tensors or back."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        owner = node.func.value
        numpy_itself = isinstance(owner, ast.Name) and owner.id == "np"
        if node.func.attr in CROSSINGS and not numpy_itself:
            found.append(f"{node.func.attr}:{node.lineno}")
    return found


def test_only_the_bridge_converts():
    files = {
        p.relative_to(FOLDER).as_posix(): crossings(p.read_text()) for p in FOLDER.rglob("*.py")
    }
    assert len(files) > 20
    assert files.pop("bridge.py")
    assert {name: calls for name, calls in files.items() if calls} == {}


@pytest.mark.parametrize(
    "source",
    ["torch.from_numpy(a)", "x.detach().cpu().numpy()", "torch.as_tensor(a)", "torch.asarray(a)"],
)
def test_the_check_sees_a_crossing(source):
    assert crossings(source)
    assert not crossings("np.asarray(a); to_host(x)")

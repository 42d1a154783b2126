"""Figures come from one place, which says so when matplotlib is missing."""

import sys

import pytest

from simrecon.errors import UsageError
from simrecon.qc.figures import new_figure


def test_figure_has_its_size_and_style():
    figure = new_figure(3.0, 2.0, facecolor="#112233")
    assert tuple(figure.get_size_inches()) == (3.0, 2.0)
    assert figure.get_facecolor()[:3] == pytest.approx((0x11 / 255, 0x22 / 255, 0x33 / 255))


def test_missing_matplotlib_is_a_usage_error(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(UsageError, match=r"simrecon\[report\]"):
        new_figure(1.0, 1.0)

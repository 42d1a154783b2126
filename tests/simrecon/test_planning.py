from dataclasses import replace

import numpy as np
import pytest

from simrecon.config import build_settings
from simrecon.errors import UsageError
from simrecon.model.optics import Optics
from simrecon.model.stack import SimStack
from simrecon.planning import plan


def stack(times=1, size=256):
    data = np.broadcast_to(np.float32(1.0), (times, 1, 3, 3, 1, size, size))
    return SimStack(data=data, pixel_um=0.065, optics=(Optics(na=1.4, emission_nm=525.0),))


def test_memory_grows_with_field_and_zoom():
    settings = build_settings()
    small, large = plan(stack(size=256), settings), plan(stack(size=1024), settings)
    assert 5e8 > small.memory_bytes > 2e8
    assert large.memory_bytes > 3 * small.memory_bytes
    fine = plan(stack(size=1024), build_settings(("x", {"zoom": 3})))
    assert fine.memory_bytes > 1.5 * large.memory_bytes


def test_time_series_costs_less_with_one_operator():
    shared = build_settings(("x", {"share_pattern": True, "variance": False}))
    each = build_settings(("x", {"variance": False}))
    assert plan(stack(10), shared).units == 10
    assert plan(stack(10), shared).seconds < 0.7 * plan(stack(10), each).seconds


def test_memory_limit_is_kept_or_refused_with_both_numbers():
    roomy = build_settings(("x", {"max_memory_gb": 8.0}))
    assert plan(stack(), roomy).memory_bytes < 8e9
    with pytest.raises(UsageError, match="more memory than allowed") as error:
        plan(stack(size=2048), build_settings(("x", {"max_memory_gb": 1.0})))
    assert "at most 1 GB" in str(error.value)
    assert "about" in str(error.value)


def test_text_names_memory_and_time():
    text = plan(replace(stack(), pixel_um=0.08), build_settings()).to_text()
    assert "GB" in text
    assert " s " in text


def test_deskewed_volumes_count_with_their_own_size():
    data = np.broadcast_to(np.float32(1.0), (1, 1, 1, 5, 40, 64, 64))
    optics = (Optics(na=1.1, emission_nm=525.0, immersion_index=1.33),)
    skewed = SimStack(data=data, pixel_um=0.104, optics=optics, dz_um=0.5)
    stage = {"mode": "lls", "scan": "stage", "stage_angle_deg": 10.0}
    straight = plan(skewed, build_settings(("x", {"mode": "lls"}))).memory_bytes
    # 40 planes travel 113 µm: the picture is 18 times as long as the field
    assert plan(skewed, build_settings(("x", stage))).memory_bytes > straight + 7e7
    with pytest.raises(UsageError, match="volumes that come out"):
        plan(skewed, build_settings(("x", {**stage, "max_memory_gb": 0.2})))
    roomy = build_settings(("x", {**stage, "max_memory_gb": 0.4}))
    assert plan(skewed, roomy).memory_bytes <= 0.4e9

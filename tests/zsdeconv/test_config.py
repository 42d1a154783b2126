from __future__ import annotations

import pytest
import torch

from simrecon.errors import DeviceError, UsageError
from zsdeconv import bridge
from zsdeconv.bridge import select_device, select_precision, torch_device
from zsdeconv.config import ZsSettings, build_settings, parse_duration_s


@pytest.mark.parametrize(
    "text, seconds", [("90", 90), ("90s", 90), ("5min", 300), ("1.5h", 5400), (" 2 m ", 120)]
)
def test_durations(text, seconds):
    assert parse_duration_s(text) == seconds


@pytest.mark.parametrize("text", ["", "5 parsec", "-3s", "0", "min"])
def test_bad_durations_are_usage_errors(text):
    with pytest.raises(UsageError, match="duration"):
        parse_duration_s(text)


@pytest.mark.parametrize(
    "values, word",
    [
        ({"itterations": 3}, "itterations"),
        ({"alpha": (0.0, 1.0)}, "alpha"),
        ({"margin": 70, "patch": 128}, "margin"),
        ({"upsample": True}, "unet_paper"),
        ({"loss": "l1"}, "raw"),
        ({"held_out_draws": 1}, "held_out_draws"),
        ({"uncertainty_draws": 1}, "uncertainty_draws"),
    ],
)
def test_bad_settings_name_the_problem(values, word):
    with pytest.raises(UsageError) as caught:
        build_settings(**values)
    assert word in str(caught.value)
    assert caught.value.exit_code == 2


def test_time_limit():
    assert ZsSettings().time_limit_s == 300.0
    assert ZsSettings(iterations=5).time_limit_s is None
    assert ZsSettings(iterations=5, budget_s=3).time_limit_s == 3


def test_absent_gpu_is_a_device_error(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(DeviceError) as caught:
        select_device("cuda:0")
    assert caught.value.exit_code == 5
    fallback = select_device("auto")
    assert fallback.kind == "cpu"
    assert "no GPU" in fallback.reason


@pytest.mark.parametrize(
    "text, request_, wanted",
    [
        ("flags\t\t: fpu sse2 avx512_bf16\n", "auto", torch.bfloat16),
        ("flags\t\t: fpu sse2 avx512f\n", "auto", torch.float32),
        ("model name : avx512_bf16\nflags : fpu\n", "auto", torch.float32),
        (None, "auto", torch.float32),
        (None, "bfloat16", torch.bfloat16),
        ("flags : amx_bf16\n", "float32", torch.float32),
    ],
)
def test_bfloat16_only_where_the_processor_has_it(text, request_, wanted, tmp_path, monkeypatch):
    path = tmp_path / "cpuinfo"
    if text is not None:
        path.write_text(text)
    monkeypatch.setattr(bridge, "_CPUINFO", path)
    assert select_precision(request_, torch.device("cpu")) == wanted


@pytest.mark.parametrize(("given", "expected"), [(None, 3), ("1", 1)])
def test_torch_has_a_thread_per_core_unless_told_otherwise(given, expected, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if given is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", given)
    monkeypatch.setattr(bridge, "usable_cores", lambda: 3)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        torch_device(select_device("cpu"))
        assert torch.get_num_threads() == expected
    finally:
        torch.set_num_threads(before)

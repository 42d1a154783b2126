"""The same bits again, on request."""

from __future__ import annotations

import os

import pytest
import torch
from world_worker import SETTINGS, picture

from simrecon.errors import UsageError
from zsdeconv.config import PlaneNetwork, VolumeNetwork, build_settings
from zsdeconv.deterministic import deterministic
from zsdeconv.enhancement import enhance
from zsdeconv.models import build_network
from zsdeconv.options import TrainOptions, both_settings

QUICK = {"iterations": 6, "uncertainty_draws": 0, "stacking_draws": 0, "held_out_draws": 0,
         "probes": False}  # fmt: skip


@pytest.fixture(autouse=True)
def _environment(monkeypatch):
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    yield
    assert not torch.are_deterministic_algorithms_enabled()


def trained(seed: int) -> torch.Tensor:
    """Weights of a training on two threads, in the arithmetic that the processor has."""
    torch.set_num_threads(2)
    changed = {**QUICK, "deterministic": True, "seed": seed, "precision": "auto"}
    made = enhance(picture(), SETTINGS.model_copy(update=changed))
    return torch.cat([made.model[k].ravel() for k in sorted(made.model)])


def test_two_runs_give_the_same_bits():
    first = trained(0)
    torch.rand(3)  # others may draw between them
    assert torch.equal(first, trained(0))
    assert not torch.equal(first, trained(1))


def test_the_option_is_the_setting():
    given = TrainOptions(deterministic=True, iterations=5)
    assert both_settings(None, given)[0].deterministic
    assert not both_settings(None, None)[0].deterministic


def test_the_whole_training_runs_in_that_mode(monkeypatch):
    seen = []
    import zsdeconv.enhancement as module

    for name in ("prepare", "fit", "_assemble"):
        real = getattr(module, name)

        def watched(*given, real=real, **more):
            seen.append(torch.are_deterministic_algorithms_enabled())
            return real(*given, **more)

        monkeypatch.setattr(module, name, watched)
    for wanted in (True, False):
        enhance(picture(), SETTINGS.model_copy(update={**QUICK, "deterministic": wanted}))
    assert seen == [True] * 3 + [False] * 3
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"


@pytest.mark.parametrize("values", [{}, {"budget_s": 5}, {"iterations": 5, "budget_s": 5}])
def test_a_time_limit_cannot_repeat(values):
    with pytest.raises(UsageError, match="needs iterations and no time limit"):
        build_settings(deterministic=True, **values)


@pytest.mark.parametrize("name", [*PlaneNetwork.__args__, *VolumeNetwork.__args__])
def test_every_network_has_a_deterministic_form_on_the_cpu(name):
    volume = name in VolumeNetwork.__args__
    network = build_network(build_settings(network=name, width=4))
    sizes = network.multiple if isinstance(network.multiple, tuple) else (network.multiple,) * 3
    shape = [max(16, m) for m in sizes[-2:]]
    x = torch.rand(1, 1, *([4] if volume else []), *shape)
    with deterministic(True):
        denoised, objects = network(x, x)
        (denoised.sum() + objects.sum()).backward()


def test_an_operation_without_one_is_refused():
    values, twice = torch.zeros(4), torch.tensor([0, 0])
    with (
        pytest.raises(UsageError, match=r"no deterministic form(.|\n)*--deterministic"),
        deterministic(True),
    ):
        values.put_(twice, torch.ones(2), accumulate=False)
    with pytest.raises(RuntimeError, match="another fault"), deterministic(True):
        raise RuntimeError("another fault")


def test_cuda_that_runs_already_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    with pytest.raises(UsageError, match="CUBLAS_WORKSPACE_CONFIG"), deterministic(True):
        pass
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    with deterministic(True):
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":16:8"

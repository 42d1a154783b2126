from __future__ import annotations

import importlib
import inspect
import os
import pkgutil
import signal

import numpy as np
import pytest
import torch

from simrecon.config import Settings
from simrecon.errors import InputError
from simrecon.physics.simulate import simulate
from simrecon.pipeline import reconstruct
from zsdeconv import checkpoint, commands, train
from zsdeconv.config import ZsSettings
from zsdeconv.infer import apply_network
from zsdeconv.launch import TRAINING
from zsdeconv.pairs_sim import sim_measurement
from zsdeconv.restore import by_network
from zsdeconv.training import prepare
from zsdeconv.training_state import restore_state, save_state

SMALL = {"width": 8, "patch": 64, "batch": 2, "bank": 3, "warmup": 0.3, "refresh": 3}


@pytest.fixture(scope="module")
def measurement():
    """Smaller than the shared scene: what is tested here does not depend on the field."""
    stack, truth = simulate(shape=(32, 40), kind="mixed", peak_e=100.0, background=3.0, seed=4)
    settings = Settings()
    return sim_measurement(stack, reconstruct(stack, settings, pattern=truth.pattern), settings)


@pytest.fixture(scope="module")
def whole(measurement):
    """A training of nine steps without interruption."""
    return train.fit(_run(measurement, iterations=9))


def _run(measurement, **values):
    settings = ZsSettings(**{**SMALL, **values})
    return prepare(measurement, settings, torch.device("cpu"))


def _weights(run):
    return torch.cat([p.detach().ravel() for p in run.mean.parameters()])


def test_resumed_training_equals_the_uninterrupted_one(measurement, whole, tmp_path):
    killed = _run(measurement, iterations=9)
    for _ in range(7):  # killed between two checkpoints: the state is that of step 7
        train.step(killed)
    save_state(killed, tmp_path)
    again = restore_state(_run(measurement, iterations=9), tmp_path)
    assert again.iteration == 7
    train.fit(again)
    assert again.iteration == 9
    assert torch.equal(_weights(whole), _weights(again))
    other = train.fit(_run(measurement, iterations=9, seed=1))
    assert not torch.equal(_weights(whole), _weights(other))


def test_interrupted_training_is_saved_between_two_steps(measurement, whole, tmp_path):
    """A Ctrl-C inside step 4 ends after it, and what is saved continues as if nothing happened."""
    stopped = _run(measurement, iterations=9)
    real = stopped.sampler.pairs

    def pairs():
        if stopped.iteration == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return real()

    stopped.sampler.pairs = pairs
    handler = signal.default_int_handler
    signal.signal(signal.SIGINT, handler)  # a shell's background job ignores SIGINT
    with pytest.raises(KeyboardInterrupt, match=r"step 4.*--resume.*sim\|image\|train\|volume"):
        train.fit(stopped, tmp_path)
    assert signal.getsignal(signal.SIGINT) is handler
    again = restore_state(_run(measurement, iterations=9), tmp_path)
    assert again.iteration == 4
    assert torch.equal(_weights(whole), _weights(train.fit(again)))


def test_the_message_names_the_commands_that_can_resume():
    names = [m.name for m in pkgutil.iter_modules(commands.__path__)]
    modules = [importlib.import_module(f"zsdeconv.commands.{n}") for n in names]
    with_option = {
        n for n, m in zip(names, modules, strict=True)
        if "resume" in inspect.signature(getattr(m, n, len)).parameters
    }  # fmt: skip
    assert with_option == set(TRAINING)


def test_first_state_is_saved_soon_and_without_one_there_is_nothing_to_resume(
    measurement, tmp_path, monkeypatch
):
    run = _run(measurement, iterations=4)
    with pytest.raises(InputError, match="nothing to resume"):
        restore_state(run, tmp_path)
    clock = iter(float(s) for s in range(0, 1000, 3))  # three seconds per look
    monkeypatch.setattr(train.time, "monotonic", lambda: next(clock))
    saved = []
    monkeypatch.setattr(train, "save_state", lambda r, _folder: saved.append(r.iteration))
    train.fit(run, tmp_path)
    assert saved == [2, 4]  # after 5 s, and at the end; the regular 30 s have not passed


def test_state_of_other_data_or_settings_is_refused(measurement, tmp_path):
    from dataclasses import replace

    save_state(_run(measurement, iterations=3), tmp_path)
    with pytest.raises(InputError, match="other settings") as caught:
        restore_state(_run(measurement, iterations=3, lr=1e-4), tmp_path)
    assert "lr=" in str(caught.value)
    changed = replace(measurement, frames_e=measurement.frames_e + 1)
    with pytest.raises(InputError, match="other data"):
        restore_state(_run(changed, iterations=3), tmp_path)


def test_damaged_or_missing_files_are_input_errors(tmp_path):
    with pytest.raises(InputError) as caught:
        checkpoint.read_model(tmp_path)
    assert caught.value.exit_code == 3
    (tmp_path / checkpoint.MODEL_FILE).write_bytes(b"not a model")
    with pytest.raises(InputError, match="cannot be read"):
        checkpoint.read_model(tmp_path)


def test_a_failed_write_leaves_the_last_complete_state(measurement, tmp_path, monkeypatch):
    run = _run(measurement, iterations=3)
    save_state(run, tmp_path)
    before = (tmp_path / checkpoint.STATE_FILE).read_bytes()

    def fail(*_args, **_kwargs):
        raise KeyboardInterrupt

    train.step(run)
    monkeypatch.setattr("pathlib.Path.write_bytes", fail)
    with pytest.raises(KeyboardInterrupt):
        save_state(run, tmp_path)
    monkeypatch.undo()
    assert (tmp_path / checkpoint.STATE_FILE).read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == [checkpoint.STATE_FILE]


@pytest.mark.parametrize("loss", ["raw", "whitened", "variance", "l2"])
def test_every_loss_learns(measurement, loss, monkeypatch):
    monkeypatch.setattr(train, "_WARMUP_STEPS", 5)
    run = _run(measurement, iterations=25, loss=loss, width=12, patch=96)
    with torch.no_grad():  # away from the classical start
        run.network.deconvolve.tail.bias.add_(1.0)
    data = [train.step(run)[0] for _ in range(25)]
    assert np.mean(data[-5:]) < 0.8 * np.mean(data[:3])
    assert np.mean(data[-5:]) > 0.5


def test_paper_network_trains_with_upsampling(measurement):
    run = _run(measurement, iterations=1, network="unet_paper", upsample=True, batch=1, warmup=0.0)
    before = _weights(run)
    train.fit(run)
    assert run.iteration == 1
    assert np.isfinite(run.history[-1][1])
    assert not torch.equal(before, _weights(run))


def test_the_budget_is_kept(measurement, monkeypatch):
    run = _run(measurement, budget_s=1.5)
    clock = iter(0.15 * n for n in range(1000))  # every step takes 0.15 s
    monkeypatch.setattr(train.time, "perf_counter", lambda: next(clock))
    rates, real = [], run.optimiser.step
    run.optimiser.step = lambda *given: (rates.append(given), real(*given))
    train.fit(run)
    assert run.iteration == 10
    assert rates[-1][0] < 0.2 * run.settings.lr
    assert rates[-1][1] < 0.2 * run.settings.inner_lr


def test_first_steps_correct_the_plan(measurement):
    run = _run(measurement, iterations=10, warmup=1.0)
    said = []
    train.fit(run, progress=lambda stage, *_: said.append((stage, _[-1])))
    assert run.plan.timed_steps == 8
    assert run.plan.training_s == pytest.approx(10 * run.plan.step_s)
    assert run.plan.step_s == pytest.approx(run.elapsed_s / 10, rel=0.8)
    assert ("plan", run.plan.to_text()) in said


def test_divergence_is_reported(measurement):
    run = _run(measurement, iterations=3)
    with torch.no_grad():
        next(run.network.parameters()).fill_(float("nan"))
    with pytest.raises(InputError, match="not finite"):
        train.step(run)


def test_every_draw_comes_with_its_mirror_image(measurement):
    run = _run(measurement, iterations=1, bank=2)
    bank, batch = run.bank, run.sampler.pairs()
    (y, x), again = batch.origins
    assert (y, x) == again
    assert batch.operations[0] == batch.operations[1]
    oy, ox = bank.padding.origin
    n = run.sampler.patch[-1]
    crop = bank.image[y - oy : y - oy + n, x - ox : x - ox + n]
    np.testing.assert_allclose(batch.image.mean(dim=(0, 1)), crop, atol=1e-4)
    np.testing.assert_allclose(batch.target.mean(dim=(0, 1)), crop, atol=1e-4)
    assert float((batch.raw_target[0] - batch.raw_target[1]).std()) > 1.0
    by_sign = [(b[0] - b[1]).flatten() for b in (batch.image, batch.start)]
    assert float(torch.corrcoef(torch.stack(by_sign))[0, 1]) > 0.2  # each copy with its own start
    frames, noise = (bank.padding.crop_frames(t.numpy()) for t in (bank.frames, bank.raw_noise[1]))
    for index, sign in enumerate((1, -1)):
        start = bank.classical(frames + np.float32(sign * bank.alphas[1]) * noise)
        np.testing.assert_allclose(bank.starts[1, index], start, rtol=1e-3, atol=1e-3)


def test_the_result_is_the_mean_over_the_allowed_views(measurement):
    run = _run(measurement, iterations=1)
    with torch.no_grad():
        for p in run.mean.parameters():
            p.add_(0.02 * torch.randn(p.shape, generator=torch.Generator().manual_seed(1)))
    run.sampler.operations = (0, 2)
    found = by_network(run, measurement.frames_e)
    total = [0.0, 0.0]
    for turns in (0, 2):
        seen, begun = (torch.rot90(t, turns, (0, 1)) for t in (run.bank.image, run.bank.start))
        made = apply_network(run.mean, seen, begun, run.bank.scale)
        total = [t + torch.rot90(m, turns, (0, 1)) / 2 for t, m in zip(total, made, strict=True)]
    for picture, wanted in zip(found, total, strict=True):
        inner = run.bank.padding.crop_image(wanted.numpy())
        np.testing.assert_allclose(picture, inner, rtol=1e-3, atol=1e-3)

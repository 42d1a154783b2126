"""Pixels that are nobody's target, and what they choose."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from zsdeconv.config import build_settings
from zsdeconv.early_stop import Watch, sentences, take_best
from zsdeconv.objective import batch_loss
from zsdeconv.pairs_image import image_measurement
from zsdeconv.pairs_sim import ideal_psf
from zsdeconv.train import fit
from zsdeconv.training import prepare
from zsdeconv.training_state import restore_state, save_state

SHORT = {"width": 4, "patch": 48, "bank": 2, "iterations": 40, "resimulation": 0.0, "device": "cpu",
         "precision": "float32"}  # fmt: skip


def picture(light: float = 20.0):
    rng = np.random.default_rng(4)
    expected = light * (1.0 + np.add.outer(np.arange(40), np.arange(44)) / 84.0)
    return image_measurement(rng.poisson(expected), expected, ideal_psf(0.25, 15), 0.1)


def started(**changes):
    return prepare(picture(), build_settings(**{**SHORT, **changes}), torch.device("cpu"))


def test_no_target_holds_a_withheld_pixel():
    """Whatever the picture shows there, the loss of the same patches stays as it is."""
    losses = []
    for change in (0.0, 1e6):
        run = started(margin=0)
        withheld = run.bank.withheld
        assert withheld is not None
        assert 0.05 < withheld.mean() < 0.15
        hidden = torch.tensor(run.bank.padding.frames(withheld[None].astype(np.float32)))
        run.bank.frames.add_(change * hidden)
        real = run.sampler.pairs

        def pairs(hidden=hidden, change=change, real=real, run=run):
            made = real()
            for target, place in zip(made.target, made.origins, strict=True):
                y, x = (i - o for i, o in zip(place, run.bank.padding.origin, strict=True))
                target += change * hidden[:, y : y + target.shape[1], x : x + target.shape[2]]
            return made

        run.sampler.pairs = pairs
        losses.append(batch_loss(run)[0].item())
    assert losses[0] == losses[1]
    assert started(withheld=0.0).bank.withheld is None
    assert started(loss="variance").bank.withheld is None


def test_the_best_look_is_taken_and_survives_a_restart(tmp_path):
    run = fit(started())
    assert [i for i, _ in run.looks] == [20, 40]
    assert sentences(run)
    best = min(run.looks, key=lambda look: look[1])
    assert Watch(run).score(run) == pytest.approx(best[1], rel=1e-5)
    run.looks = [(20, 1.0), (40, 2.0)]
    run.best = {k: torch.full_like(v, 0.5) for k, v in run.mean.state_dict().items()}
    save_state(run, tmp_path)
    again = restore_state(started(), tmp_path)
    assert again.looks == run.looks
    take_best(fit(again))
    assert all(bool((v == 0.5).all()) for v in again.mean.state_dict().values())

"""Frames of single planes under another mode: the mode that they fit is named."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from simrecon import pipeline
from simrecon.cli.main import app
from simrecon.config import Settings
from simrecon.errors import UsageError
from simrecon.estimate.carriers.carrier_set import SetState
from simrecon.estimate.carriers.evidence import SetEvidence
from simrecon.estimate.carriers.other_mode import _one_there
from simrecon.estimate.carriers.set_search import SetCandidate, SetFound
from simrecon.model.mode import check_steps
from simrecon.model.stack import SimStack
from simrecon.physics.simulate import simulate
from simrecon.shell import execute

OPTIONS = {"shape": (112, 120), "peak_e": 800.0, "seed": 2, "background": 2.0}
FRAMES = {
    "2d": {"directions": 2, "phases": 5},
    "tirf": {"directions": 1, "phases": 7, "period_um": 0.185},
    "slice3": {"directions": 2},
    "slice3 of 7": {"mode": "slice3", "directions": 1, "phases": 7},
    "nonlinear": {"directions": 2, "dose": 2.0},
    "nonlinear of 7": {"mode": "nonlinear", "directions": 1, "phases": 7, "dose": 2.0},
    "hex": {},
}


@pytest.fixture(scope="module")
def recordings() -> dict[str, SimStack]:
    return {n: simulate(**{"mode": n, **more, **OPTIONS})[0] for n, more in FRAMES.items()}


def fit(stack: SimStack, mode: str):
    return pipeline.estimate_pattern(
        stack, settings=Settings.model_validate({"reconstruction": {"mode": mode}})
    )


@pytest.mark.parametrize(
    ("frames", "mode", "told"),
    [
        ("2d", "slice3", "give --mode 2d or tirf"),
        ("2d", "nonlinear", "give --mode 2d or tirf"),
        ("tirf", "slice3", "one carrier, of 185 nm"),
        ("tirf", "nonlinear", "with --angles 1 --phases 7"),
        ("tirf", "hex", "give --mode 2d or tirf"),
        ("slice3 of 7", "hex", "give --mode slice3 (three beams) or nonlinear"),
        ("slice3 of 7", "nonlinear", "(three beams), with --angles 1 --phases 7"),
        ("nonlinear", "slice3", "give --mode nonlinear, with --angles 2 --phases 5"),
        ("nonlinear of 7", "slice3", "give --mode nonlinear"),
        ("nonlinear of 7", "hex", "give --mode nonlinear"),
        ("hex", "slice3", "give --mode hex"),
        ("hex", "nonlinear", "give --mode hex"),
    ],
)
def test_the_mode_that_the_frames_fit_is_named_first(frames, mode, told, recordings) -> None:
    found = fit(recordings[frames], mode)
    assert found.verdict != "ok"
    assert told in found.notes[0], found.notes
    assert f"--mode {mode}" not in found.notes[0]


@pytest.mark.parametrize(
    ("frames", "mode"),
    [("slice3", "slice3"), ("slice3", "nonlinear"), ("nonlinear", "nonlinear"), ("hex", "hex")],
)
def test_frames_that_fit_their_mode_are_not_doubted(frames, mode, recordings) -> None:
    """Two orders of three beams are harmonics, too: the picture is the same."""
    found = fit(recordings[frames], mode)
    assert found.verdict == "ok"
    assert "give --mode" not in " ".join(found.notes)


def movie(mode: str, times: int, read: tuple[int, int], **more) -> SimStack:
    """An acquisition repeated, its frames in a row read in other numbers."""
    stack, _ = simulate(mode=mode, **more, **OPTIONS)
    rng = np.random.default_rng(0)
    counts = np.concatenate([np.asarray(stack.data)] * times)
    counts = np.maximum(counts + rng.normal(0, 3, counts.shape), 0).astype(np.uint16)
    size = counts.shape[-2:]
    return replace(stack, data=counts.reshape(-1, 1, *read, 1, *size))


@pytest.mark.parametrize(
    ("made", "times", "mode", "read", "told"),
    [
        ("2d", 5, "slice3", (3, 5), "3 × 3 per plane, not 3 × 5"),
        ("2d", 7, "hex", (1, 7), "usual with --mode 2d or tirf"),
        ("slice3", 5, "nonlinear", (5, 5), "usual with --mode slice3 or 3d"),
        ("slice3", 3, "2d", (3, 3), "usual with --mode slice3 or 3d"),
        ("hex", 15, "slice3", (3, 5), "give --mode hex"),
        ("hex", 9, "2d", (3, 3), "give --mode hex"),
    ],
)
def test_numbers_that_the_frames_show_are_named(made, times, mode, read, told) -> None:
    found = fit(movie(made, times, read), mode)
    assert found.verdict == "failed"
    assert told in found.notes[0], found.notes


def test_noise_names_no_mode(recordings) -> None:
    stack = recordings["hex"]
    noise = np.random.default_rng(1).poisson(900, stack.data.shape).astype(np.uint16)
    for mode in ("slice3", "nonlinear", "hex"):
        found = fit(replace(stack, data=noise), mode)
        assert found.verdict == "failed"
        assert "--mode" not in " ".join(found.notes)


@pytest.mark.parametrize(
    ("nats", "one"), [((200.0, 3.0), True), ((2.0, 20.0), True), ((200.0, 10.0), False),
                      ((10.0, 1.0), False), ((200.0, 100.0), False)],
)  # fmt: skip
def test_a_doubtful_second_order_is_not_denied(nats, one) -> None:
    """One carrier is said only where the other order has less than what is used at all."""
    state = SetState(np.ones((1, 2)), np.zeros((1, 5)), np.ones(5), np.ones(2))
    evidence = SetEvidence(np.array(nats), np.ones(2, complex))
    assert _one_there(SetFound(SetCandidate(state, evidence, ()), 0.0)) == one


def test_numbers_that_no_mode_has_name_the_usual_one() -> None:
    for mode, numbers, usual in (
        ("hex", (3, 5), "3 × 5 frames are usual with --mode slice3 or 3d"),
        ("slice3", (3, 3), "3 × 3 frames are usual with --mode 2d or tirf"),
        ("hex", (5, 5), "5 × 5 frames are usual with --mode nonlinear"),
    ):
        with pytest.raises(UsageError) as refused:
            check_steps(mode, *numbers)
        assert usual in str(refused.value)
    with pytest.raises(UsageError) as refused:
        check_steps("hex", 2, 8)
    assert "usual" not in str(refused.value)


def test_the_command_line_says_it(tmp_path, capsys) -> None:
    raw = tmp_path / "raw.ome.tif"
    size = ("--size", "112", "--peak-e", "800", "--seed", "2")
    assert execute(app, ["simulate", "-o", str(raw), "--mode", "hex", *size]) == 0
    capsys.readouterr()
    code = execute(
        app,
        ["reconstruct", str(raw), "-o", str(tmp_path / "sr.ome.tif"), "--mode", "slice3",
         "--angles", "1", "--phases", "7"],
    )  # fmt: skip
    said = capsys.readouterr()
    assert code == 4
    assert "give --mode hex" in said.out + said.err

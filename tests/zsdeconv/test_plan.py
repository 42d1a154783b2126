"""The plan before the training, and the one from its first steps."""

import pytest

from zsdeconv.config import ZsSettings
from zsdeconv.plan import planned, timed

SIZE = (9, (512, 512), 2)


def test_a_budget_is_kept_whatever_a_step_takes():
    settings = ZsSettings(budget_s=100.0)
    first = planned(settings, *SIZE)
    slow = timed(first, settings, 10 * first.step_s, 8)
    assert first.training_s == slow.training_s == 100.0
    assert first.exact
    assert slow.exact
    assert slow.steps == pytest.approx(first.steps / 10, abs=1)
    assert slow.after_s == pytest.approx(10 * first.after_s)
    assert slow.total_s == pytest.approx(slow.before_s + 100.0 + slow.after_s)
    assert "limited to 100 s" in slow.to_text()


def test_steps_are_counted_with_their_dearer_part():
    """A quarter of the steps at the measured price, the rest, with re-simulation, at twice it."""
    settings = ZsSettings(iterations=400)
    found = timed(planned(settings, *SIZE), settings, 0.5, 8)
    assert found.training_s == pytest.approx(100 * 0.5 + 300 * 1.0)
    assert found.steps == 400
    assert not found.exact
    assert "the first 8 steps took 0.50 s each" in found.to_text()
    plain = ZsSettings(iterations=400, resimulation=0.0)
    assert timed(planned(plain, *SIZE), plain, 0.5, 8).training_s == pytest.approx(200.0)


def test_every_picture_of_a_set_has_its_fields():
    one, four = (planned(ZsSettings(), *SIZE, pictures=n) for n in (1, 4))
    assert four.training_s == one.training_s
    assert four.before_s > 1.3 * one.before_s
    assert 1.3 < four.memory_gb / one.memory_gb < 4


def test_the_shorter_of_both_limits_counts():
    settings = ZsSettings(iterations=400, budget_s=100.0)
    first = planned(settings, *SIZE)
    assert timed(first, settings, 0.5, 8).exact
    assert not timed(first, settings, 0.01, 8).exact

"""Advice that knows whether the pattern was given, and causes that are not made up."""

from dataclasses import replace

import numpy as np
import pytest

from simrecon import pipeline
from simrecon.config import Settings
from simrecon.physics.simulate import simulate
from simrecon.qc.explain import explain
from simrecon.qc.symptoms import DirectionSymptoms, Symptoms, _brightness

GOOD = DirectionSymptoms(
    agreement=1.0, low_agreement=1.0, slope=0.0, haze_agreement=1.0, carrier_off_samples=0.05,
    frame_turns_rad=(0.0, 0.0, 0.0), frame_brightness=(1.0, 1.0, 1.0), modulation=0.8,
    modulation_sd=0.02, carrier_sd_samples=0.02,
)  # fmt: skip


def symptoms(direction=GOOD, **changes):
    base = Symptoms(
        directions=(direction,) * 3, dark_sigmas=2.0, background_share=0.1,
        light_e=500.0, noise_share=0.05, widefield_noise_share=0.01, edge_ratio=1.0,
        edge_light=1.0, drift_px=0.0,
    )  # fmt: skip
    return replace(base, **changes)


def test_one_direction_is_explained_without_drift():
    """A gate that is not passed must not cost the finished picture."""
    stack, _ = simulate(shape=(128, 128), peak_e=2600.0, directions=1, seed=0, bit_depth=12)
    result = pipeline.reconstruct(stack, Settings())
    assert result.qc["verdicts"]["overall"] != "ok"
    assert np.isfinite(result.image).all()
    assert "drift" not in [f["cause"] for f in result.qc["explanation"]]


@pytest.mark.parametrize(
    ("source", "corrected", "said", "not_said"),
    [
        ("complete", False, "leave --pattern away, or give frequencies only", "--set"),
        ("fitted", False, "--set estimate.drift=auto", "leave --pattern away"),
        ("fitted", True, "did not take all", "--set"),
    ],
)
def test_advice_on_drift_depends_on_the_pattern(source, corrected, said, not_said):
    (found,) = explain(symptoms(drift_px=1.0, pattern_source=source, drift_corrected=corrected))
    assert found.cause == "drift"
    assert said in found.action
    assert not_said not in found.action


@pytest.mark.parametrize("source", ["fitted", "frequencies"])
@pytest.mark.parametrize(
    "change",
    [{"agreement": 0.5}, {"agreement": 1j}, {"frame_turns_rad": (0.0, 1.0, -1.0)}],
)
def test_no_advice_to_leave_away_what_was_not_given(source, change):
    (found,) = explain(symptoms(replace(GOOD, **change), pattern_source=source))
    assert "leave --pattern away" not in found.action
    (found,) = explain(symptoms(replace(GOOD, **change), pattern_source="complete"))
    assert "leave --pattern away" in found.action


def test_flicker_needs_given_intensities_and_no_drift():
    uneven = replace(GOOD, frame_brightness=(1.07, 0.95, 1.0))

    def names(**changes):
        return [f.cause for f in explain(symptoms(uneven, **changes))]

    assert names() == ["flicker"]
    assert names(pattern_source="fitted") == []
    assert names(drift_px=0.3) == ["drift"]


def test_hot_pixels_do_not_change_the_brightness():
    frames = np.full((1, 3, 32, 32), 100.0, np.float32)
    frames[0, 1, 5, 7] = 1e5
    np.testing.assert_allclose(_brightness(frames, frames), 100.0)


def test_a_peak_of_the_sample_is_no_wrong_frequency():
    far = replace(GOOD, carrier_off_samples=7.0)
    assert explain(symptoms(far, pattern_source="fitted")) == ()
    assert explain(symptoms(far)) == ()
    weak = replace(far, verdict="weak", agreement=0.1)
    causes = [f.cause for f in explain(symptoms(weak, pattern_source="fitted"))]
    assert "frequency or angle" not in causes
    rival = replace(weak, rivalry=0.9)
    assert explain(symptoms(rival, pattern_source="fitted"))[0].cause == "frequency or angle"
    assert explain(symptoms(replace(far, agreement=0.1)))[0].cause == "frequency or angle"


def test_hardly_any_contrast_means_a_low_modulation():
    unseen = replace(GOOD, carrier_off_samples=None)
    assert explain(symptoms(replace(unseen, modulation=0.541))) == ()
    for change in ({"modulation": 0.05}, {"modulation": 0.5, "modulation_sd": 0.3}):
        (found,) = explain(symptoms(replace(unseen, **change)))
        assert found.cause == "too little modulation"

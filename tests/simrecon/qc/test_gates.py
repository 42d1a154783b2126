import numpy as np
import pytest

from simrecon.checks import CountsEvidence
from simrecon.errors import QualityError
from simrecon.model.pattern import DirectionPattern, PatternFit
from simrecon.qc.gates import (
    Gates,
    flux_numbers,
    gate_camera,
    gate_counts,
    gate_flux,
    gate_negative,
    gate_pattern,
    gate_residual_pattern,
    gate_saturation,
    pattern_summary,
    phase_steps_deg,
)


def fit(*verdicts):
    directions = tuple(
        DirectionPattern((0.0, 4.0), (0.0, 2.2, 4.1), (0.7,), (1.0, 1.0, 1.0), verdict=v)
        for v in verdicts
    )
    overall = max(verdicts, key=["ok", "weak", "failed"].index)
    return PatternFit(0.065, (64, 64), directions, verdict=overall)


def test_nothing_doubtful_is_ok():
    assert Gates().summary() == {"overall": "ok"}


def test_worst_verdict_wins_and_reasons_are_said_once():
    gates = Gates()
    gates.add("flux", "weak", "too bright")
    gates.add("flux", "weak", "too bright")
    gates.add("flux", "ok", "never said")
    gates.add("pattern", "failed", "no peak")
    assert gates.summary() == {"flux": "weak", "pattern": "failed", "overall": "failed"}
    assert gates.reasons == ["too bright", "no peak"]


@pytest.mark.parametrize(
    "verdict, expected", [("counts", "ok"), ("unclear", "ok"), ("not camera counts", "weak")]
)
def test_values_that_are_no_counts_are_weak(verdict, expected):
    gates = Gates()
    gate_counts(gates, CountsEvidence(verdict, "a comb", 341, 190.0, 0, 65535))
    assert gates.summary()["overall"] == expected
    assert gates.reasons == (["not camera counts: a comb"] if expected == "weak" else [])


def test_saturation_passes_weakens_or_stops():
    for fraction, expected in ((0.0, "ok"), (0.0005, "ok"), (0.01, "weak")):
        gates = Gates()
        gate_saturation(gates, fraction, 65535)
        assert gates.verdicts["saturation"] == expected
    with pytest.raises(QualityError, match="saturated") as error:
        gate_saturation(Gates(), 0.2, 4095)
    assert "20 % at 4095" in str(error.value)


def test_pattern_reasons_name_the_directions():
    gates = Gates()
    gate_pattern(gates, fit("ok", "weak", "failed"), "time 2")
    assert gates.verdicts["pattern"] == "failed"
    assert gates.reasons == ["pattern (time 2): direction 2 is weak; direction 3 is failed"]


@pytest.mark.parametrize(
    "ratio, verdict", [(1.0, "ok"), (1.019, "ok"), (0.97, "weak"), (float("nan"), "weak")]
)
def test_flux_within_two_percent(ratio, verdict):
    gates = Gates()
    gate_flux(gates, ratio, "x")
    assert gates.verdicts["flux"] == verdict


def test_a_honeycomb_is_named():
    def peak(d, order, height):
        return {"direction": d, "order": order, "height_sigmas": height, "suspicious": height > 6}

    gates = Gates()
    gate_residual_pattern(gates, [peak(0, 1, 3.0), peak(1, 2, 2.0)], "x")
    assert gates.summary()["overall"] == "ok"
    gate_residual_pattern(gates, [peak(0, 1, 3.0), peak(1, 1, 29.4)], "x")
    assert gates.verdicts["residual_pattern"] == "weak"
    assert "direction 2 order 1 (29 sigma)" in gates.reasons[0]
    assert "direction 1" not in gates.reasons[0]


def test_flux_numbers():
    wide = np.full((4, 4), 2.0, np.float32)
    image = np.full((8, 8), 3.0, np.float32)
    image[0, 0] = -1.0
    numbers = flux_numbers(image, wide)
    assert numbers["flux_ratio"] == pytest.approx((63 * 3 - 1) / 64 / 2)
    assert numbers["negative_fraction"] == pytest.approx(1 / 190)
    assert np.isnan(flux_numbers(image, 0 * wide)["flux_ratio"])


def test_phase_steps_wrap():
    assert phase_steps_deg((3.0, -3.0, 0.0)) == pytest.approx(
        [np.degrees(2 * np.pi - 6.0), np.degrees(3.0)]
    )


def test_summary_holds_period_and_verdict():
    row = pattern_summary(fit("weak"))[0]
    assert row["period_um"] == pytest.approx(0.25)
    assert row["angle_deg"] == pytest.approx(0.0)
    assert row["verdict"] == "weak"


@pytest.mark.parametrize(
    "ratio, known, verdict",
    [(1.0, True, "ok"), (None, True, "ok"), (0.69, True, "weak"), (1.41, True, "weak"),
     (0.39, True, "failed"), (2.6, True, "failed"), (1.0, False, "weak")],
)  # fmt: skip
def test_camera_that_the_noise_contradicts(ratio, known, verdict):
    gates = Gates()
    gate_camera(gates, ratio, known)
    assert gates.summary()["overall"] == verdict
    assert bool(gates.reasons) == (verdict != "ok")


def test_doubts_about_the_camera_make_the_noise_model_weak():
    gates = Gates()
    gate_camera(gates, 1.0, True, ("The camera record expired on 2020-01-01: measure again.",))
    assert gates.verdicts["noise_model"] == "weak"
    assert "expired" in gates.reasons[0]


@pytest.mark.parametrize("fraction, verdict", [(0.2, "ok"), (0.3, "weak")])
def test_much_negative_light(fraction, verdict):
    gates = Gates()
    gate_negative(gates, fraction, "x")
    assert gates.verdicts["negative"] == verdict

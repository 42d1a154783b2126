"""Modes with several carriers from file to picture, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import tifffile

from simrecon import pipeline
from simrecon.cli.main import app
from simrecon.config import ReconstructionSettings, Settings, build_settings
from simrecon.errors import InputError, UsageError
from simrecon.estimate.carriers import other_mode
from simrecon.io import read
from simrecon.model.optics import Optics
from simrecon.physics.reference import reference_image, reference_otf
from simrecon.physics.simulate import simulate
from simrecon.qc.metrics import equalised_psnr
from simrecon.shell import execute

MODES = ("slice3", "nonlinear", "hex")
modes = pytest.mark.parametrize("mode", MODES)


def settings_of(mode: str, **estimate) -> Settings:
    return Settings.model_validate({"reconstruction": {"mode": mode}, "estimate": estimate})


def run(*arguments: str, capsys=None) -> tuple[int, str]:
    code = execute(app, [str(a) for a in arguments])
    out = capsys.readouterr()
    return code, out.out + out.err


@pytest.fixture(scope="module")
def recordings():
    """One recording per mode, of few frames."""
    options = {"shape": (112, 120), "peak_e": 800.0, "seed": 2, "background": 2.0}
    return {
        "slice3": simulate(mode="slice3", directions=2, **options),
        "nonlinear": simulate(mode="nonlinear", directions=2, dose=2.0, **options),
        "hex": simulate(mode="hex", **options),
    }


@pytest.fixture(scope="module")
def results(recordings):
    return {m: pipeline.reconstruct(recordings[m][0], settings_of(m)) for m in MODES}


@modes
def test_picture_is_as_good_as_with_the_true_pattern(mode, recordings, results):
    stack, truth = recordings[mode]
    result = results[mode]
    pattern = result.patterns[0][0]
    assert pattern.verdict == "ok", pattern.notes
    assert pattern.simultaneous == (mode == "hex")
    known = pipeline.reconstruct(stack, settings_of(mode), pattern=truth.pattern)
    edge = truth.otf.cutoff_per_um + max(
        len(d.modulation) / d.period_um for d in truth.pattern.directions
    )
    reference = reference_image(truth, otf=reference_otf(edge))
    ours, best = (
        equalised_psnr(r.image[0, 0, 0], reference, margin_px=20) for r in (result, known)
    )
    assert ours > best - 0.3
    summary = result.qc["patterns"][0][0][0]
    orders = len(truth.pattern.directions[0].modulation)
    assert summary["finest_period_um"] == pytest.approx(summary["period_um"] / orders)
    assert 1.0 <= summary["mixing_condition"] < 2.0
    assert result.variance is not None
    assert np.all(result.variance > 0)
    flux = result.qc["acquisitions"][0]["flux_ratio"]
    assert flux == pytest.approx(1.0, abs=0.02)


@modes
def test_a_written_pattern_is_used_as_it_is(mode, recordings, results):
    stack, _ = recordings[mode]
    pattern = results[mode].patterns[0][0]
    again = type(pattern).from_dict(json.loads(json.dumps(pattern.to_dict())))
    result = pipeline.reconstruct(stack, settings_of(mode), pattern=again)
    assert np.allclose(result.image, results[mode].image, rtol=1e-3, atol=1e-2)


def test_given_frequencies_are_kept(recordings):
    stack, truth = recordings["hex"]
    bare = tuple(
        replace(d, phase_rad=(), modulation=(), intensity=()) for d in truth.pattern.directions
    )
    given = replace(truth.pattern, directions=bare)
    fit = pipeline.estimate_pattern(stack, settings=settings_of("hex"), pattern=given)
    for d, t in zip(fit.directions, truth.pattern.directions, strict=True):
        assert d.frequency_per_um == pytest.approx(t.frequency_per_um)
        assert d.modulation == pytest.approx(t.modulation, abs=0.05)
    with pytest.raises(UsageError, match="not one of mode hex"):
        pipeline.estimate_pattern(
            replace(stack, data=stack.data),
            settings=settings_of("hex"),
            pattern=replace(given, directions=bare[:1], simultaneous=False),
        )


def test_excitation_na_and_period_tell_the_fundamental(recordings):
    stack, truth = recordings["slice3"]
    period = truth.pattern.directions[0].period_um
    na = 0.488 / period  # finest light 2 NA/λ is order 2
    optics = Optics(na=1.49, emission_nm=525.0, excitation_nm=488.0, excitation_na=na)
    with_na = pipeline.estimate_pattern(
        replace(stack, optics=(optics,)), settings=settings_of("slice3")
    )
    assert with_na.directions[0].period_um == pytest.approx(period, rel=1e-3)
    assert not any("expected" in note for note in with_na.notes)
    off = pipeline.estimate_pattern(stack, settings=settings_of("slice3", period_um=0.67 * period))
    assert off.directions[0].period_um == pytest.approx(period, rel=1e-3)
    assert any("not the expected" in note for note in off.notes)


def test_the_light_must_pass_the_objective(recordings):
    stack, _ = recordings["slice3"]
    with pytest.raises(InputError, match="order 2 of the expected fundamental lies outside"):
        pipeline.estimate_pattern(stack, settings=settings_of("slice3", period_um=0.21))


@pytest.mark.parametrize(
    ("name", "reason"),
    [("4beam", "mirror"), ("4-beam", "mirror"), ("i5s", "opposing"), ("I5S", "opposing")],
)
def test_modes_that_are_not_done_say_why(name, reason):
    with pytest.raises(UsageError, match=reason):
        build_settings(("test", {"mode": name}))


@pytest.mark.parametrize("wrong", [{"share_channels": True}, {"local": "on"}])
def test_settings_of_one_carrier_are_refused(wrong, recordings):
    stack, _ = recordings["hex"]
    with pytest.raises(UsageError, match="not available in mode hex"):
        pipeline.estimate_pattern(stack, settings=settings_of("hex", **wrong))


def test_from_the_command_line_to_the_picture(tmp_path, capsys):
    raw = tmp_path / "raw.ome.tif"
    made = ("simulate", "-o", raw, "--mode", "hex", "--size", "112", "--peak-e", "800")
    assert run(*made, capsys=capsys)[0] == 0
    code, text = run(
        "reconstruct", raw, "-o", tmp_path / "sr.ome.tif", "--mode", "hex", capsys=capsys
    )
    assert code == 0, text
    assert "direction 3" in text
    qc = json.loads((tmp_path / "sr.qc.json").read_text())
    assert len(qc["patterns"][0][0]) == 3
    assert tifffile.imread(tmp_path / "sr.ome.tif").shape == (224, 224)


def plain(tmp_path, frames: int):
    """A TIFF that says nothing of directions and phases."""
    path = tmp_path / f"plain{frames}.tif"
    counts = np.random.default_rng(0).poisson(300, (frames, 48, 48)).astype(np.uint16)
    tifffile.imwrite(path, counts)
    return path


OPTICS = ("--pixel-um", "0.065", "--na", "1.4", "--emission-nm", "525")


@pytest.mark.parametrize(
    ("mode", "frames", "extra", "code", "told"),
    [
        ("hex", 9, (), 3, "7 frames"),
        ("hex", 9, ("--angles", "3", "--phases", "3"), 2, "three carriers"),
        ("slice3", 9, (), 3, "15 frames"),
        ("slice3", 9, ("--angles", "3", "--phases", "3"), 2, "5 or more phases"),
        ("nonlinear", 12, ("--angles", "3", "--phases", "4"), 2, "5 or more phases"),
        ("nonlinear", 26, (), 3, "25 frames"),
        ("i5s", 9, (), 2, "opposing objectives"),
        ("4beam", 9, (), 2, "mirror"),
        ("3beam", 9, (), 2, "slice3"),
        ("hex", 7, (), 4, "no carrier found"),
        ("2d", 7, (), 3, "7 frames are usual with --mode hex"),
        ("2d", 25, (), 3, "25 frames are usual with --mode nonlinear"),
        ("2d", 15, (), 3, "15 frames are usual with --mode slice3 or 3d"),
    ],
)
def test_frames_that_do_not_fit_a_mode(mode, frames, extra, code, told, tmp_path, capsys):
    got, text = run(
        "reconstruct", plain(tmp_path, frames), "-o", tmp_path / "sr.ome.tif", "--mode", mode,
        *OPTICS, *extra, capsys=capsys,
    )  # fmt: skip
    assert (got, told in text) == (code, True), text


def test_modes_read_their_usual_frames(tmp_path):
    for mode, shape in (("slice3", (3, 5)), ("nonlinear", (5, 5)), ("hex", (1, 7))):
        stack = read(
            plain(tmp_path, shape[0] * shape[1]), mode=mode, pixel_um=0.065, na=1.4, emission_nm=525
        )
        assert stack.data.shape[2:4] == shape
        assert any(f"usual in mode {mode}" in note for note in stack.notes)


@modes
def test_frames_of_another_mode_are_not_taken_for_two_beam_sim(mode, recordings):
    fit = pipeline.estimate_pattern(recordings[mode][0], settings=settings_of("2d"))
    assert fit.verdict != "ok"
    assert f"--mode {mode}" in fit.notes[0]


def test_two_beam_frames_of_many_phases_are_no_other_mode():
    options = {"shape": (112, 120), "peak_e": 200.0, "seed": 2, "background": 2.0}
    for directions, phases in ((2, 5), (1, 7)):
        stack, truth = simulate(directions=directions, phases=phases, **options)
        assert other_mode(stack.frames_e(), stack.pixel_um, truth.otf, None) is None


def test_widefield_instead_of_a_failed_fit(recordings):
    stack, _ = recordings["hex"]
    noise = np.random.default_rng(1).poisson(900, stack.data.shape).astype(np.uint16)
    chosen = Settings(reconstruction=ReconstructionSettings(mode="hex", on_fit_failure="widefield"))
    result = pipeline.reconstruct(replace(stack, data=noise), chosen)
    assert result.kind == "widefield"
    assert not result.passed

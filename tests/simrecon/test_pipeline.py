from dataclasses import replace

import numpy as np
import pytest

from simrecon import pipeline
from simrecon.cli.reconstruct import summary
from simrecon.config import ReconstructionSettings, build_settings
from simrecon.errors import DeviceError, InputError, QualityError, UsageError
from simrecon.estimate import estimate_pattern
from simrecon.model.optics import Optics
from simrecon.model.pattern import PatternFit
from simrecon.physics.otf import theoretical_otf
from simrecon.physics.simulate import simulate
from simrecon.pipeline import reconstruct
from simrecon.preparation import (
    acquisition,
    mean_acquisition,
    prepare_channel,
    tirf_frequencies,
)
from simrecon.qc.metrics import nrmse


def settings(**keys):
    return build_settings(("test", {"device": "cpu", **keys}))


@pytest.fixture(scope="module")
def data():
    return simulate(shape=(96, 96), peak_e=2000.0, kind="mixed", background=20.0, seed=5)


@pytest.fixture(scope="module")
def result(data):
    return reconstruct(data[0], settings())


def frequencies_only(pattern: PatternFit) -> PatternFit:
    bare = [replace(d, phase_rad=(), modulation=(), intensity=()) for d in pattern.directions]
    return replace(pattern, directions=tuple(bare))


def with_times(stack, times):
    """The same frames repeated along time."""
    return replace(stack, data=np.concatenate([np.asarray(stack.data)] * times))


def hopeless(stack):
    """Frames without any pattern: the mean of all frames, with the noise of each."""
    rng = np.random.default_rng(0)
    data = np.asarray(stack.data, dtype=np.float64)
    mean = np.broadcast_to(data.mean(axis=(2, 3), keepdims=True), data.shape)
    return replace(stack, data=np.rint(rng.normal(mean, np.sqrt(mean))).astype(np.uint16))


def test_result_is_complete(data, result):
    stack, _ = data
    assert result.image.shape == (1, 1, 1, 192, 192)
    assert result.variance.shape == result.image.shape
    assert result.widefield.shape == (1, 1, 1, 96, 96)
    assert result.image.dtype == result.variance.dtype == result.effective_psf.dtype == np.float32
    assert result.grid == stack.grid.zoomed(2)
    assert result.effective_psf.sum() == pytest.approx(1.0, rel=1e-5)
    n = result.effective_psf.shape[-1]
    assert np.unravel_index(result.effective_psf[0].argmax(), (n, n)) == (n // 2, n // 2)
    assert (result.variance > 0).all()
    assert result.verdicts["overall"] == "ok"
    assert result.passed
    assert result.kind == "sim"


def test_picture_is_better_than_the_widefield(data, result):
    _, truth = data
    wide = np.kron(result.widefield[0, 0, 0], np.ones((2, 2)))
    fine = nrmse(result.image[0, 0, 0], truth.object_e, margin_px=8)
    assert fine < 0.8 * nrmse(wide, truth.object_e, margin_px=8)


def test_fitted_pattern_gives_nearly_the_picture_of_the_true_one(data, result):
    stack, truth = data
    best = reconstruct(stack, settings(), pattern=truth.pattern).image[0, 0, 0]
    assert nrmse(result.image[0, 0, 0], best, margin_px=8) < 0.1


def test_qc_holds_the_numbers_that_matter(result):
    numbers = result.qc["acquisitions"][0]
    assert numbers["flux_ratio"] == pytest.approx(1.0, abs=0.02)
    assert 0 <= numbers["negative_fraction"] < 0.05
    assert numbers["resolution_um"]["gain"] > 1.2
    assert len(numbers["residual_peaks"]) == 6
    assert set(result.qc["timings_s"]) == {"estimate", "build", "reconstruct", "variance", "qc"}
    assert result.qc["schema"] == "simrecon/qc/1"
    assert result.qc["verdicts"] == dict(result.verdicts)


def test_provenance_replays_the_settings(result):
    made = result.provenance
    again = build_settings(("provenance", made["settings"]))
    assert again == settings()
    assert made["patterns"][0][0]["schema"] == "simrecon/pattern/1"
    assert len(made["otf"][0]["sha256"]) == 64
    assert made["device"].startswith("cpu")


def test_same_input_gives_the_same_picture(data, result):
    again = reconstruct(data[0], settings())
    np.testing.assert_array_equal(again.image, result.image)


def test_complete_pattern_is_used_as_it_stands(data):
    stack, truth = data
    result = reconstruct(stack, settings(), pattern=truth.pattern)
    assert result.pattern.directions == truth.pattern.directions
    assert result.pattern.notes == tuple(f"from the pattern file: {n}" for n in truth.pattern.notes)
    assert result.verdicts["raw_consistency"] == "ok"
    assert len(result.qc["acquisitions"][0]["raw_consistency"]) == 3


def test_given_pattern_that_the_frames_contradict_fails(data):
    stack, truth = data
    off = [
        replace(d, phase_rad=tuple(p + 2 for p in d.phase_rad)) for d in truth.pattern.directions
    ]
    result = reconstruct(stack, settings(), pattern=replace(truth.pattern, directions=tuple(off)))
    assert result.verdicts["raw_consistency"] == "failed"
    assert any("do not follow the pattern" in text for text in result.qc["reasons"])


def test_failed_pattern_is_not_answered_with_giving_one(data):
    stack, truth = data
    with pytest.raises(QualityError) as caught:
        reconstruct(stack, settings(), pattern=replace(truth.pattern, verdict="failed"))
    assert "itself a failed fit" in str(caught.value)


def test_every_plane_is_judged_with_the_pattern_of_the_middle_one(data):
    stack, _ = data
    volume = replace(stack, data=np.concatenate([np.asarray(stack.data)] * 3, axis=4))
    odd = np.array(volume.data)
    odd[:, :, :, :, 2] = np.roll(odd[:, :, :, :, 2], 1, axis=3)
    result = reconstruct(replace(volume, data=odd), settings())
    assert any("plane 1 (from 0) was used for all 3 planes" in n for n in result.qc["notes"])
    others = result.qc["acquisitions"][0]["other_planes"]
    assert [o["plane"] for o in others] == [0, 2]
    assert result.verdicts["raw_consistency"] == "failed"
    assert any("plane 2)" in text for text in result.qc["reasons"])
    assert not any("plane 0)" in text for text in result.qc["reasons"])


def test_known_frequencies_leave_the_rest_to_be_fitted(data):
    stack, truth = data
    found = reconstruct(stack, settings(), pattern=frequencies_only(truth.pattern)).pattern
    for fitted, true in zip(found.directions, truth.pattern.directions, strict=True):
        assert fitted.frequency_per_um == pytest.approx(true.frequency_per_um, rel=1e-9)
        steps = np.diff(fitted.phase_rad) - np.diff(true.phase_rad)
        assert np.abs(np.angle(np.exp(1j * steps))).max() < 0.05
        assert fitted.modulation[0] == pytest.approx(true.modulation[0], abs=0.05)


def test_estimate_agrees_with_reconstruct(data, result):
    fit = pipeline.estimate_pattern(data[0], settings=settings())
    assert fit.directions == result.pattern.directions


def test_shared_pattern_builds_one_operator(data):
    stack = with_times(data[0], 3)
    shared = reconstruct(stack, settings(share_pattern=True, variance=False))
    operators = {id(row[0]) for row in shared.reconstructors}
    assert len(operators) == 1
    assert shared.image.shape[0] == 3
    assert shared.variance is None
    single = reconstruct(stack, settings(variance=False))
    assert len({id(row[0]) for row in single.reconstructors}) == 3
    np.testing.assert_allclose(single.image[0], single.image[2], rtol=1e-6)


def test_mean_of_all_times_has_less_noise_and_the_same_light(data):
    stack = with_times(data[0], 4)
    channel = prepare_channel(stack, 0, settings(), None)
    one, mean = acquisition(stack, channel, 0, 0), mean_acquisition(stack, channel)
    np.testing.assert_allclose(mean.frames_e, one.frames_e, rtol=1e-5, atol=1e-3)
    np.testing.assert_allclose(mean.variance_e2, one.variance_e2 / 4, rtol=1e-5)


def test_planes_are_reconstructed_with_the_pattern_of_the_middle_one(data):
    stack = data[0]
    planes = np.concatenate([np.asarray(stack.data)] * 2, axis=4)
    found = reconstruct(replace(stack, data=planes, dz_um=0.2), settings(variance=False))
    assert found.image.shape[2] == 2
    np.testing.assert_array_equal(found.image[0, 0, 0], found.image[0, 0, 1])


def test_channels_have_their_own_optics_and_operator(data):
    stack = data[0]
    both = np.concatenate([np.asarray(stack.data)] * 2, axis=1)
    optics = stack.optics[0]
    red = replace(optics, emission_nm=560.0)
    found = reconstruct(
        replace(stack, data=both, optics=(optics, red)),
        settings(variance=False),
        pattern=data[1].pattern,
    )
    told = summary(found, []).splitlines()
    for channel in (0, 1):
        assert any(line.startswith(f"channel {channel}, direction 3: period") for line in told)
        assert any(f"channel {channel}: from the pattern file" in line for line in told)
    assert [o["cutoff_per_um"] for o in found.provenance["otf"]] == pytest.approx(
        [2 * optics.na / 0.525, 2 * optics.na / 0.560]
    )
    assert found.effective_psf.shape[0] == 2


@pytest.mark.parametrize(
    "keys", [{"regularization": "wiener"}, {"apodization": "triangle"}, {"zoom": 3}]
)
def test_options_change_the_picture_and_keep_the_flux(data, result, keys):
    stack, truth = data
    found = reconstruct(stack, settings(**keys), pattern=truth.pattern)
    reference = reconstruct(stack, settings(), pattern=truth.pattern)
    assert found.qc["acquisitions"][0]["flux_ratio"] == pytest.approx(1.0, abs=0.02)
    if found.image.shape == reference.image.shape:
        assert nrmse(found.image[0, 0, 0], reference.image[0, 0, 0]) > 1e-3
    else:
        assert found.image.shape[-1] == 3 * 96


def test_more_regularisation_is_smoother(data):
    stack, truth = data
    power = []
    for factor in (0.1, 1.0, 10.0):
        keys = settings(regularization_factor=factor)
        variance = reconstruct(stack, keys, pattern=truth.pattern).variance
        power.append(float(variance.mean()))
    assert power[0] > power[1] > power[2]


def test_reconstruction_settings_alone_are_enough(data):
    stack, truth = data
    part = ReconstructionSettings(zoom=1, device="cpu")
    assert reconstruct(stack, part, pattern=truth.pattern).image.shape[-1] == 96


def test_progress_is_called_to_its_end(data):
    calls = []
    stack, truth = data
    reconstruct(
        with_times(stack, 2), settings(variance=False), pattern=truth.pattern,
        progress=lambda stage, done, total, note="": calls.append((stage, done, total)),
    )  # fmt: skip
    assert calls[-1] == ("reconstruct", 2, 2)


def test_unknown_gain_is_measured_and_said(data):
    stack, truth = data
    blind = replace(
        stack, camera=replace(stack.camera, gain=1.0, read_noise_e=0.0, source="assumed")
    )
    found = reconstruct(blind, settings(), pattern=truth.pattern)
    camera = found.qc["camera"][0]
    assert camera["gain"] == pytest.approx(2.0, rel=0.1)
    assert any("estimated" in note for note in found.qc["notes"])
    known = reconstruct(stack, settings(), pattern=truth.pattern)
    assert not any("estimated" in note for note in known.qc["notes"])
    ratio = found.image.mean() / known.image.mean()
    assert ratio == pytest.approx(2.0 / camera["gain"], rel=0.01)


def test_values_that_are_no_counts_are_marked_weak(data):
    stack, truth = data
    stretched = replace(
        stack,
        data=np.asarray(stack.data, np.float32) * np.float32(0.00137),
        camera=replace(stack.camera, offset=100 * 0.00137),
    )
    found = reconstruct(stretched, settings(), pattern=truth.pattern)
    assert found.verdicts["noise_model"] == "weak"
    assert not found.passed
    assert any("not camera counts" in reason for reason in found.qc["reasons"])


def test_failed_fit_stops(data):
    with pytest.raises(QualityError, match="could not be fitted") as error:
        reconstruct(hopeless(data[0]), settings())
    assert error.value.exit_code == 4
    assert "widefield" in str(error.value)


def test_failed_fit_may_fall_back_to_a_marked_widefield(data):
    found = reconstruct(hopeless(data[0]), settings(on_fit_failure="widefield"))
    assert found.kind == "widefield"
    assert found.provenance["kind"] == "widefield"
    assert found.verdicts["overall"] == "failed"
    np.testing.assert_allclose(
        found.image[0, 0, 0], np.kron(found.widefield[0, 0, 0], np.ones((2, 2))), rtol=1e-6
    )
    assert any("WIDEFIELD" in note for note in found.qc["notes"])


def test_preset_needs_its_numbers(data):
    with pytest.raises(UsageError, match="preset needs the nominal pattern"):
        reconstruct(hopeless(data[0]), settings(on_fit_failure="preset"))


def test_weak_pattern_is_written_and_marked(data):
    stack, truth = data
    weak = replace(truth.pattern, verdict="weak")
    found = reconstruct(stack, settings(), pattern=weak)
    assert found.verdicts["overall"] == "weak"
    assert np.isfinite(found.image).all()


def test_given_failed_pattern_stops_too(data):
    stack, truth = data
    with pytest.raises(QualityError):
        reconstruct(stack, settings(), pattern=replace(truth.pattern, verdict="failed"))


def one_with(pattern: PatternFit, **change) -> PatternFit:
    """The first direction changed."""
    return replace(
        pattern, directions=(replace(pattern.directions[0], **change), *pattern.directions[1:])
    )


def test_foreign_patterns_are_refused(data):
    stack, truth = data
    pattern = truth.pattern
    short = replace(pattern.directions[0], phase_rad=(0.0, 1.0, 2.0, 3.0), intensity=(1.0,) * 4)
    outside = replace(pattern.directions[0], frequency_per_um=(9.0, 0.0))
    for wrong, message in (
        (replace(pattern, directions=pattern.directions[:2]), "number of directions"),
        (replace(pattern, pixel_um=0.08), "pixel size"),
        (replace(pattern, shape=(64, 64)), "size of the field"),
        (replace(pattern, directions=(short,) * 3), "number of phases"),
        (replace(pattern, directions=(outside,) * 3), "outside the detection OTF"),
    ):
        with pytest.raises(InputError, match=message):
            reconstruct(stack, settings(), pattern=wrong)


def test_expected_period_outside_the_otf_is_refused(data):
    with pytest.raises(InputError, match="outside the detection OTF") as error:
        pipeline.estimate_pattern(data[0], settings=settings(period_um=0.1))
    assert "got: 100 nm" in str(error.value)


def test_foreign_otf_is_refused(data):
    stack, truth = data
    wrong = theoretical_otf(replace(stack.optics[0], na=0.5))
    with pytest.raises(InputError, match="does not belong"):
        reconstruct(stack, settings(), pattern=truth.pattern, otf=wrong)
    with pytest.raises(UsageError, match="one per channel"):
        reconstruct(stack, settings(), pattern=truth.pattern, otf=[truth.otf] * 2)


def test_absent_gpu_is_refused_and_auto_says_why(data):
    from simrecon.backend import gpu_status

    stack, truth = data
    if gpu_status(7).usable:
        pytest.skip("this machine has eight GPUs")
    with pytest.raises(DeviceError) as error:
        reconstruct(stack, settings(device="cuda:7"), pattern=truth.pattern)
    assert error.value.exit_code == 5


def test_the_same_picture_on_another_device(data, monkeypatch):
    """A strict Array-API library on a second device stands in for the GPU."""
    import array_api_strict

    from simrecon import backend

    stack, truth = data
    there = array_api_strict.Device("device1")
    moved = []

    def to_strict(array, device):
        moved.append(device.label)
        return array_api_strict.asarray(array, device=there)

    on_cpu = reconstruct(stack, settings(), pattern=truth.pattern)
    monkeypatch.setattr(backend, "to_device", to_strict)
    on_device = reconstruct(stack, settings(), pattern=truth.pattern)
    assert len(moved) == 3
    scale = on_cpu.image.max()
    assert np.abs(on_device.image - on_cpu.image).max() < 1e-4 * scale
    assert np.abs(on_device.variance / on_cpu.variance - 1).max() < 1e-3


def test_widefield_has_no_psf(data):
    stack = hopeless(data[0])
    result = reconstruct(stack, settings(on_fit_failure="widefield"))
    assert result.kind == "widefield"
    assert result.effective_psf is None


def test_tirf_looks_between_the_sample_index_and_the_na():
    optics = Optics(na=1.49, emission_nm=525.0, excitation_nm=488.0)
    low, high = tirf_frequencies(optics)
    assert (low, high) == pytest.approx((2 * 1.333 / 0.488, 2 * 1.49 / 0.488))
    for wrong in (replace(optics, na=1.3), replace(optics, excitation_na=1.2)):
        with pytest.raises(InputError, match="TIRF is not possible"):
            tirf_frequencies(wrong)


def test_mode_tirf_reaches_the_fit(data, monkeypatch):
    stack, _ = data
    low = replace(stack, optics=tuple(replace(o, na=1.3) for o in stack.optics))
    with pytest.raises(InputError, match="TIRF is not possible"):
        reconstruct(low, settings(mode="tirf"))
    seen = []

    def watched(*args, **options):
        seen.append(options["expected_frequency_per_um"])
        return estimate_pattern(*args, **options)

    monkeypatch.setattr("simrecon.preparation.estimate_pattern", watched)
    for mode in ("2d", "tirf"):
        pipeline.estimate_pattern(stack, settings=settings(mode=mode))
    assert seen == [None, pytest.approx(np.mean(tirf_frequencies(stack.optics[0])))]

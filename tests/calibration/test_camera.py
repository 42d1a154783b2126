"""The camera calibration against simulated truth and against the EMVA 1288 package."""

import numpy as np
import pytest
from camera_maker import SimulatedCamera
from emva1288.process.data import Data1288
from emva1288.process.results import Results1288
from emva1288.process.routines import get_int_imgs

from calibration.camera import calibrate_camera
from calibration.camera_results import read_noise_adu
from calibration.emva1288 import line_noise_e, quadratic_surface, spatial_variance
from calibration.flat_levels import light_classes
from calibration.linearity import linearity_errors_percent
from calibration.moments import measure
from calibration.photon_transfer import fit_photon_transfer, level_of
from calibration.pixel_mask import DEAD, HOT, NOISY
from simrecon.errors import QualityError, UsageError
from simrecon.io.camera_record import camera_of

LEVELS_E = (50.0, 200.0, 500.0, 1000.0)


def simulated(seed: int = 0, **options) -> tuple[SimulatedCamera, np.ndarray, list[np.ndarray]]:
    """500 dark and 4 × 125 flat frames with 2 % flicker and three bad pixels."""
    camera = SimulatedCamera(seed=seed, **options)
    camera.offset[3, 4] += 500
    camera.read_e[5, 6] = 20
    camera.response[7, 8] = 0
    dark = camera.stack(0, 500)
    return camera, dark, [camera.stack(light, 125, 0.02) for light in LEVELS_E]


@pytest.fixture(scope="module")
def measured():
    camera, dark, flats = simulated()
    record, found = calibrate_camera(dark, flats, instrument="simulated", exposures=LEVELS_E)
    return camera, dark, flats, record, found


@pytest.mark.parametrize(
    ("gain", "read_e", "seed"), [(2.2, 1.5, 0), (0.47, 1.6, 1), (7.0, 0.9, 2), (1.1, 6.0, 3)]
)
def test_truth_is_found(gain, read_e, seed):
    _, dark, flats = simulated(seed, gain=gain, read_noise_e=read_e)
    record, _ = calibrate_camera(dark, flats)
    results = record.results
    assert results["gain"]["value"] == pytest.approx(gain, rel=0.01)
    assert results["read_noise"]["rms"] == pytest.approx(read_e, rel=0.03)
    assert abs(results["gain"]["value"] - gain) < 4 * results["gain"]["sd"]
    assert abs(results["read_noise"]["rms"] - read_e) < 4 * results["read_noise"]["rms_sd"]
    assert record.verdict == "ok"


def test_maps_agree_with_truth_within_their_errors(measured):
    camera, _, _, record, found = measured
    good = found.mask == 0
    offset, read = record.quantities["offset"], record.quantities["read_noise_e"]
    pull = (offset.value - camera.offset)[good] / offset.sd[good]
    assert pull.std() == pytest.approx(1.0, abs=0.08)
    pull = (read.value - camera.read_e)[good] / read.sd[good]
    assert pull.std() == pytest.approx(1.0, abs=0.1)
    assert abs(pull.mean()) < 0.15
    assert camera_of(record, "", "").map_shape == (32, 48)


def test_bad_pixels_are_marked_and_no_others(measured):
    *_, found = measured
    assert found.mask[3, 4] == HOT
    assert found.mask[5, 6] == NOISY
    assert found.mask[7, 8] == DEAD
    assert np.count_nonzero(found.mask) == 3


def test_pixel_gains_are_drawn_to_the_common_gain_as_their_errors_say():
    rng = np.random.default_rng(5)
    true = 2.2 * (1 + 0.1 * rng.standard_normal((32, 48)))
    camera = SimulatedCamera(seed=5, gain=true)
    dark = measure(camera.stack(0, 200))
    levels = [level_of(measure(camera.stack(e, 150)), dark) for e in (300.0, 900.0)]
    fit = fit_photon_transfer(dark, levels, np.ones((32, 48), bool))
    assert fit.spread == pytest.approx(0.22, rel=0.1)
    errors = [np.std(estimate - true) for estimate in (fit.gain_map, fit.pixel_gain, fit.gain)]
    assert errors[0] < 0.97 * min(errors[1:])
    pull = (fit.gain_map - true) / fit.gain_map_sd
    assert pull.std() == pytest.approx(1.0, abs=0.08)


def test_equal_gains_are_said_to_be_equal(measured):
    *_, record, found = measured
    assert found.transfer.spread == 0.0
    assert np.ptp(record.quantities["gain"].value) == 0.0
    assert any("all pixels have the common gain" in note for note in record.notes)


def test_one_stack_of_varying_light_serves_as_levels():
    camera = SimulatedCamera(seed=7)
    dark = camera.stack(0, 300)
    lights = np.repeat(LEVELS_E, 80)
    steps = np.concatenate([camera.stack(e, 1, 0.01) for e in camera.rng.permutation(lights)])
    ramp = np.concatenate([camera.stack(e, 1) for e in np.linspace(50, 1000, 320)])
    for stack, levels in ((steps, 4), (ramp, 12)):
        record, found = calibrate_camera(dark, [stack])
        assert len(found.levels) == levels
        assert record.results["gain"]["value"] == pytest.approx(2.2, rel=0.015)
    single = [frame[None] for frame in steps]  # as a folder of single-page files gives them
    assert len(calibrate_camera(dark, single)[1].levels) == 4


def test_light_classes():
    light = np.r_[np.full(20, 1.0), np.full(20, 2.0), np.full(3, 9.0)]
    np.testing.assert_array_equal(light_classes(light[::-1])[::-1], [0] * 20 + [1] * 20 + [-1] * 3)
    assert light_classes(np.linspace(1, 9, 49)).max() == 0
    assert light_classes(np.linspace(1, 9, 5)).max() == -1


def test_curved_camera_is_weak():
    _, dark, flats = simulated(seed=9)
    bent = [np.rint(100 + (f - 100.0) * (1 - (f - 100.0) / 16000)).astype(np.uint16) for f in flats]
    record, _ = calibrate_camera(dark, bent, exposures=LEVELS_E)
    assert record.verdict == "weak"
    assert any("not straight" in note for note in record.notes)
    assert max(np.abs(record.results["response_linearity_percent"])) > 1.0


def test_linearity_errors():
    x = np.array([1.0, 2.0, 5.0, 10.0])
    np.testing.assert_allclose(linearity_errors_percent(x, 3 * x + 0.1), 0, atol=1e-9)
    bent = linearity_errors_percent(x, 3 * x * (1 - 0.004 * x))
    assert bent[0] < 0 < bent[2] > bent[3]
    assert np.abs(bent).max() == pytest.approx(1.2, abs=0.6)


def test_exposures_must_belong_to_stacks(measured):
    _, dark, flats, *_ = measured
    with pytest.raises(UsageError, match="Exposures"):
        calibrate_camera(dark, flats, exposures=[1.0, 2.0])


def test_drifting_offset_is_weak(measured):
    _, dark, flats, *_ = measured
    moving = dark + np.linspace(0, 3, 500).astype(np.uint16)[:, None, None]
    record, _ = calibrate_camera(moving, flats)
    assert record.verdict == "weak"
    assert any("drifts" in note for note in record.notes)


def test_row_noise_and_surface():
    rng = np.random.default_rng(2)
    frames = rng.normal(0, 2.0, (300, 32, 48)) + rng.normal(0, 0.8, (300, 32, 1))
    found = line_noise_e(measure(frames), 2.0)
    assert found["row_noise_e"] == pytest.approx(0.4, rel=0.1)
    assert found["column_noise_e"] < 0.05
    y, x = np.mgrid[:9, :7]
    surface = 3.0 + 0.2 * x - 0.1 * y + 0.03 * x * y - 0.02 * x**2
    np.testing.assert_allclose(quadratic_surface(surface), surface, atol=1e-10)


def test_columns_and_rows_of_the_fixed_pattern():
    rng = np.random.default_rng(4)
    pattern = rng.normal(0, 3, (200, 1)) + rng.normal(0, 2, 240) + rng.normal(0, 1, (200, 240))
    found = spatial_variance(measure(pattern + rng.normal(0, 4, (20, 200, 240))))
    assert found.row == pytest.approx(9, rel=0.3)
    assert found.column == pytest.approx(4, rel=0.3)
    assert found.pixel == pytest.approx(1, rel=0.05)
    assert found.total == pytest.approx(found.row + found.column + found.pixel, rel=0.01)


def test_a_record_of_another_kind_of_numbers_is_not_made():
    rng = np.random.default_rng(1)
    dark = np.rint(rng.normal(5e4, 9.0, (20, 32, 48)))  # offsets that no camera has
    flats = [np.rint(rng.normal(5e4 + s, np.sqrt(81 + s), (20, 32, 48))) for s in (300.0, 900.0)]
    with pytest.raises(QualityError, match="not plausible"):
        calibrate_camera(dark, flats)


def test_read_noise_leaves_out_the_rounding(measured):
    *_, found = measured
    adu = np.sqrt(np.mean(read_noise_adu(found)[found.mask == 0] ** 2))
    raw = np.sqrt(np.mean(found.dark.variance[found.mask == 0]))
    assert raw**2 - adu**2 == pytest.approx(1 / 12)


def emva_results(dark: np.ndarray, flats: list[np.ndarray]) -> Results1288:
    """What the package emva1288 makes of the same frames, all of them in pairs."""

    def pairs(frames: np.ndarray) -> dict[str, float]:
        found = [get_int_imgs(list(frames[i : i + 2])) for i in range(0, len(frames) - 1, 2)]
        return {
            "sum": float(np.mean([np.sum(f["sum"]) for f in found])),
            "pvar": float(np.mean([np.sum(f["pvar"]) for f in found])),
            "dmean": float(np.sqrt(np.mean([f["dmean"] ** 2 for f in found]))),
        }

    temporal = {0.0: pairs(dark)} | {e: pairs(f) for e, f in zip(LEVELS_E, flats, strict=True)}
    spatial = {0.0: get_int_imgs(list(dark)), LEVELS_E[-1]: get_int_imgs(list(flats[-1]))}
    rows, columns = dark.shape[1:]
    return Results1288(
        Data1288({"width": columns, "height": rows, "temporal": {1.0: temporal},
                       "spatial": {1.0: spatial}}).data
    )  # fmt: skip


def test_agrees_with_emva1288_on_the_same_frames(monkeypatch):
    # the package was written for NumPy 1, which had this name
    monkeypatch.setattr(np, "asfarray", lambda a: np.asarray(a, float), raising=False)
    camera, dark, flats = simulated(seed=11, prnu=0.02)
    lines = np.rint(camera.rng.normal(0, 2, (32, 1)) + camera.rng.normal(0, 3, 48)).astype(int)
    dark, flats = dark + lines, [flat + lines for flat in flats]
    theirs = emva_results(dark, flats)
    _, found = calibrate_camera(dark, flats)
    assert found.transfer.gain == pytest.approx(theirs.K, rel=0.01)
    rms = np.sqrt(np.mean(read_noise_adu(found) ** 2)) / found.transfer.gain  # all pixels
    assert rms == pytest.approx(theirs.sigma_d, rel=0.02)
    scale = theirs.K / found.transfer.gain
    ours = found.pattern
    for part in ("", "_row", "_col", "_pixel"):
        name = part.replace("col", "column")
        dsnu, prnu = getattr(theirs, f"DSNU1288{part}"), getattr(theirs, f"PRNU1288{part}")
        assert ours[f"dsnu{name}_e"] == pytest.approx(dsnu * scale, rel=1e-6)
        if name in ("", "_pixel"):  # theirs is NaN for rows and columns without PRNU
            assert ours[f"prnu{name}_percent"] == pytest.approx(prnu, rel=1e-6)

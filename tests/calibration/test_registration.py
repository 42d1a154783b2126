"""``calibration.registration`` and ``simrecon register``: beads to maps to pictures."""

import json
from dataclasses import replace
from datetime import date

import numpy as np
import pytest
import tifffile

from calibration.cli import app
from calibration.registration.figures import residual_figure
from calibration.registration.fit import LEAST_BEADS, fit_affine
from calibration.registration.match import match
from calibration.registration.measure import measure_registration
from calibration.registration.report import to_record
from calibration.registration.spots import Beads, find_beads
from simrecon.cli.main import app as simrecon_app
from simrecon.errors import InputError, QualityError, UsageError
from simrecon.io import read_record, read_registration_record, write_image, write_record
from simrecon.io.registration_record import registration_of
from simrecon.model.affine import Affine2D
from simrecon.model.optics import Optics
from simrecon.physics.simulate_beads import Bead, scattered_beads, simulate_bead_channels
from simrecon.shell import execute

PIXEL_UM, SIZE = 0.08, 200
OPTICS = (Optics(1.4, 525.0), Optics(1.4, 605.0))
CENTRE = np.full(2, 0.5 * (SIZE - 1) * PIXEL_UM)


def affine(turn_deg=0.4, magnify=1.003, shift=(0.31, -0.22), flip=1.0) -> Affine2D:
    angle = np.deg2rad(turn_deg)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    matrix = magnify * turn @ np.diag([1.0, flip])
    return Affine2D.of(matrix, CENTRE + shift - matrix @ CENTRE)


def beads(seed: int = 0, peak_e: float = 800.0) -> list[Bead]:
    return scattered_beads((1, SIZE, SIZE), pixel_um=PIXEL_UM, dz_um=0.1, optics=OPTICS[0],
                           bead_um=0.1, peak_e=peak_e, spacing_um=2.4, seed=seed)  # fmt: skip


def picture(moved: Affine2D, seed: int = 0, some: list[Bead] | None = None) -> np.ndarray:
    return simulate_bead_channels(beads(seed) if some is None else some, (Affine2D(), moved),
                                  shape=(SIZE, SIZE), pixel_um=PIXEL_UM, optics=OPTICS,
                                  seed=seed)  # fmt: skip


def error_nm(found: Affine2D, true: Affine2D) -> np.ndarray:
    """Distance of mapped points from where they belong, over the field."""
    y, x = np.meshgrid(np.linspace(0, SIZE * PIXEL_UM, 9), np.linspace(0, SIZE * PIXEL_UM, 9))
    points = np.stack([y.ravel(), x.ravel()], axis=-1)
    return 1e3 * np.hypot(*(found(true(points)) - points).T)


@pytest.fixture(scope="module")
def counts():
    return picture(affine())


@pytest.fixture(scope="module")
def measured(counts):
    return measure_registration([counts], PIXEL_UM, OPTICS)


def test_the_map_is_found_to_a_nanometre(measured):
    fit = measured.channels[1].fit
    assert measured.verdict == "ok"
    assert fit.count == len(beads())
    assert error_nm(fit.affine, affine()).max() < 3.0
    expected = fit.error_nm(np.array([[0.0, 0.0], CENTRE]))
    assert expected[1] < expected[0] < 4.0


def test_the_shift_of_mirror_images_is_drawn_without_the_flip(measured):
    channel, side = measured.channels[1], SIZE * PIXEL_UM
    flip = Affine2D(((1.0, 0.0), (0.0, -1.0)), (0.0, side))
    drawn = []
    for one in (channel.affine, flip):
        fit = replace(channel.matched.fit, affine=one)
        shown = replace(channel, matched=replace(channel.matched, fit=fit))
        axes = residual_figure(shown, measured).axes[0]
        arrows = axes.collections[0]
        drawn.append(np.hypot(arrows.U, arrows.V).max())
    assert 100.0 < drawn[0] < 1000.0
    assert drawn[1] == pytest.approx(0.0, abs=1e-6)


def test_the_residual_is_that_of_beads_left_out(measured):
    fit = measured.channels[1].fit
    target = measured.channels[0].beads[0].position_um
    left_out = []
    for i in range(fit.count):
        rest = np.arange(fit.count) != i
        truth = fit.points_um + 0.0
        goal = fit.affine(truth) + fit.residual_um
        alone = fit_affine(truth[rest], goal[rest], fit.sd_um[rest])
        left_out.append(goal[i] - alone.affine(truth[i]))
    np.testing.assert_allclose(fit.left_out_um, left_out, atol=1e-9)
    assert fit.residual_nm == pytest.approx(1e3 * np.sqrt(np.mean(np.sum(np.square(left_out), 1))))
    assert 0 < fit.residual_sd_nm < fit.residual_nm
    assert len(target) >= fit.count


def test_errors_of_map_and_beads_are_honest():
    rng = np.random.default_rng(4)
    true, pulls, ratios = affine(), [], []
    for _ in range(300):
        points = rng.uniform(0, SIZE * PIXEL_UM, (15, 2))
        sd = rng.uniform(0.002, 0.006, 15)
        target = true.inverse()(points) + sd[:, None] * rng.normal(size=(15, 2))
        fit = fit_affine(points, target, sd)
        corner = fit.affine(np.zeros(2)) - true.inverse()(np.zeros(2))
        pulls.append(1e3 * corner / (fit.error_nm(np.zeros(2)) / np.sqrt(2.0)))
        ratios.append(fit.chi2)
    assert np.sqrt(np.mean(np.square(pulls))) == pytest.approx(1.0, abs=0.12)
    assert np.mean(ratios) == pytest.approx(1.0, abs=0.06)


def test_positions_are_as_good_as_they_say():
    pulls = []
    for seed in range(2):
        some = beads(seed, 300.0)
        found = find_beads(picture(Affine2D(), seed, some)[0], PIXEL_UM, OPTICS[0])
        true = np.array([b.position_um[1:] for b in some])
        for place, sd in zip(found.position_um, found.sd_um, strict=True):
            away = place - true[np.argmin(np.hypot(*(true - place).T))]
            pulls += list(away / sd)
    assert 0.7 < np.sqrt(np.mean(np.square(pulls))) < 1.4


def scattered(count: int, seed: int, jitter: float = 0.003) -> tuple[Beads, Beads, Affine2D]:
    """Positions of two channels, with a third of the beads of each missing in the other."""
    rng = np.random.default_rng(seed)
    true = affine(rng.uniform(-9, 9), rng.uniform(0.975, 1.025), rng.uniform(-4, 4, 2),
                  rng.choice([-1.0, 1.0]))  # fmt: skip
    quarter = Affine2D.of(np.array([[0.0, 1.0], [-1.0, 0.0]]), [0.0, SIZE * PIXEL_UM])
    if rng.random() < 0.5:
        true = true.after(quarter)
    points = rng.uniform(0, SIZE * PIXEL_UM, (count, 2))
    there = true(points) + jitter * rng.normal(size=points.shape)
    keep = rng.random((2, count)) < 0.85
    sd = np.full(count, jitter)
    return (Beads(there[keep[0]], sd[keep[0]], {}), Beads(points[keep[1]], sd[keep[1]], {}), true)


@pytest.mark.parametrize("count", [20, 40])
def test_turned_mirrored_shifted_beads_are_matched(count):
    for seed in range(4):
        moving, target, true = scattered(count, seed)
        found = match([moving], [target], (SIZE * PIXEL_UM,) * 2)
        assert error_nm(found.fit.affine, true).max() < 15.0


def test_a_stray_pair_is_left_out():
    moving, target, true = scattered(25, 1)
    stray = match([moving], [target], (SIZE * PIXEL_UM,) * 2).index[0, 0]
    moving.position_um[stray] += 0.03
    found = match([moving], [target], (SIZE * PIXEL_UM,) * 2)
    assert stray not in found.index[:, 0]
    assert found.outliers == 1
    assert error_nm(found.fit.affine, true).max() < 15.0


def test_fields_help_each_other():
    true = affine()
    rng = np.random.default_rng(0)
    pairs = []
    for _ in range(4):
        points = rng.uniform(0, SIZE * PIXEL_UM, (5, 2))
        sd = np.full(5, 0.003)
        pairs.append((Beads(true(points), sd, {}), Beads(points, sd, {})))
    found = match(*zip(*pairs, strict=True), (SIZE * PIXEL_UM,) * 2)
    assert found.fit.count == 20
    assert set(found.field) == {0, 1, 2, 3}


def test_upright_pictures_need_few_beads():
    points = np.random.default_rng(3).uniform(0, SIZE * PIXEL_UM, (8, 2))
    sd = np.full(8, 0.003)
    found = match([Beads(affine()(points), sd, {})], [Beads(points, sd, {})], (16.0, 16.0))
    assert found.fit.count == 8


def test_other_beads_and_few_beads_are_refused():
    rng = np.random.default_rng(1)
    sd = np.full(20, 0.003)
    one, other = (Beads(rng.uniform(0, 16, (20, 2)), sd, {}) for _ in range(2))
    with pytest.raises(QualityError, match=r"do not match|Too few common"):
        match([one], [other], (16.0, 16.0))
    few = Beads(one.position_um[:4], sd[:4], {})
    with pytest.raises(QualityError) as caught:
        match([few], [few], (16.0, 16.0))
    assert f"{LEAST_BEADS}" in str(caught.value)


def test_three_channels_are_composed_through_the_reference():
    optics = (*OPTICS, Optics(1.4, 680.0))
    maps = (Affine2D(), affine(), affine(-0.3, 0.998, (-0.2, 0.1)))
    counts = simulate_bead_channels(beads(), maps, shape=(SIZE, SIZE), pixel_um=PIXEL_UM,
                                    optics=optics, seed=2)  # fmt: skip
    found = measure_registration([counts], PIXEL_UM, optics, reference=1)
    record = registration_of(to_record(found, sources=(), provenance={}), "test")
    assert record.to_reference[1] == Affine2D()
    direct = record.between(680.0, 525.0)
    assert error_nm(direct, maps[2]).max() < 4.0
    assert record.between(525.0, 525.0) == Affine2D()
    with pytest.raises(InputError, match="no such channel"):
        record.between(450.0, 525.0)


def test_settings_that_cannot_be_are_refused(counts):
    with pytest.raises(UsageError, match="must differ"):
        measure_registration([counts], PIXEL_UM, (OPTICS[0], OPTICS[0]))
    with pytest.raises(InputError, match="two channels"):
        measure_registration([counts[:1]], PIXEL_UM, OPTICS[:1])
    with pytest.raises(InputError, match="different shapes"):
        measure_registration([counts, counts[:, :100]], PIXEL_UM, OPTICS)


KNOWN = ["--pixel-um", str(PIXEL_UM), "--na", "1.4", "--emission-nm", "525", "--emission-nm", "605"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, counts):
    path = tmp_path_factory.mktemp("registration")
    for n, one in enumerate(counts):
        tifffile.imwrite(path / f"camera{n}.tif", one)
    code = execute(app, ["registration", str(path / "camera0.tif"), str(path / "camera1.tif"),
                         "-o", str(path / "reg.h5"), "--report", "--instrument", "Twin",
                         *KNOWN])  # fmt: skip
    assert code == 0
    return path


def test_command_writes_record_numbers_and_report(folder):
    record = read_record(folder / "reg.h5")
    assert (record.kind, record.instrument, record.verdict) == ("registration", "Twin", "ok")
    assert len(record.sources) == 2
    assert record.quantities["residual_nm"].value[1] < 10.0
    assert record.quantities["matrix"].sd.shape == (2, 2, 2)
    facts = json.loads((folder / "reg.qc.json").read_text())["results"]
    channel = facts["channels"][1]
    assert channel["common_beads"] == len(channel["pairs"])
    assert "data:image/png;base64," in (folder / "reg.report.html").read_text()
    assert execute(app, ["check", str(folder / "reg.h5")]) == 0


def test_check_holds_new_beads_against_the_record(folder, tmp_path, capsys):
    known = ["--pixel-um", str(PIXEL_UM), "--na", "1.4"]
    for moved, code, word in ((affine(), 0, "ok"), (affine(shift=(0.36, -0.22)), 4, "weak"),
                              (affine(shift=(0.6, -0.22)), 4, "failed")):  # fmt: skip
        names = []
        for n, one in enumerate(picture(moved, 5)):
            names.append(str(tmp_path / f"c{n}.tif"))
            tifffile.imwrite(names[-1], one)
        argv = ["check", str(folder / "reg.h5"), *names, *known]
        assert execute(app, [*argv, *KNOWN[4:]]) == code
        assert f"605 nm: {word}" in capsys.readouterr().out


def sr_pictures(path, emission=(525.0, 605.0)) -> list[str]:
    """Two pictures on the grid of zoom 2: a spot, and the same spot where channel 2 has it."""
    names = []
    pitch, offset = PIXEL_UM / 2, -PIXEL_UM / 4
    place = np.add(CENTRE, (1.0, -2.0))
    for n, here in enumerate((place, affine()(place))):
        y, x = (offset + pitch * np.arange(2 * SIZE) - c for c in here)
        spot = 100 * np.exp(-(y[:, None] ** 2 + x[None] ** 2) / (2 * 0.12**2))
        names.append(str(path / f"sim{n}.ome.tif"))
        write_image(names[-1], spot.astype(np.float32), pixel_um=pitch,
                    provenance={"emission_nm": [emission[n]]})  # fmt: skip
    return names


def test_register_brings_pictures_together(folder, tmp_path):
    names = sr_pictures(tmp_path)
    code = execute(simrecon_app, ["register", *names, "--registration", str(folder / "reg.h5"),
                                  "-o", str(tmp_path / "both.ome.tif"), "--variance", names[0],
                                  "--variance", names[1]])  # fmt: skip
    assert code == 0
    both = tifffile.imread(tmp_path / "both.ome.tif")
    assert both.shape == (2, 2 * SIZE, 2 * SIZE)
    np.testing.assert_array_equal(both[0], tifffile.imread(names[0]))
    centres = []
    for one in np.nan_to_num(both.astype(float)):
        y, x = np.indices(one.shape) * PIXEL_UM / 2
        centres.append([(one * y).sum() / one.sum(), (one * x).sum() / one.sum()])
    assert 1e3 * np.hypot(*np.subtract(*centres)) < 3.0
    made = json.loads((tmp_path / "both.prov.json").read_text())
    assert made["registration"][0]["path"].endswith("reg.h5")
    assert made["settings"]["interpolation"].startswith("B-spline")
    assert (tmp_path / "both.variance.ome.tif").exists()


def test_register_needs_a_variance_map_for_every_channel(folder, tmp_path, capsys):
    names = sr_pictures(tmp_path)
    argv = ["register", *names, "--registration", str(folder / "reg.h5"), "--variance", names[0]]
    assert execute(simrecon_app, [*argv, "-o", str(tmp_path / "b.ome.tif")]) == 3
    assert "--variance" in capsys.readouterr().err
    assert not (tmp_path / "b.ome.tif").exists()


def test_register_says_when_the_record_is_old(folder, tmp_path):
    record = read_record(folder / "reg.h5")
    write_record(tmp_path / "old.h5", replace(record, expires="2020-01-01"))
    argv = ["register", *sr_pictures(tmp_path), "--registration", str(tmp_path / "old.h5")]
    assert execute(simrecon_app, [*argv, "-o", str(tmp_path / "b.ome.tif")]) == 4
    assert "expired" in json.loads((tmp_path / "b.qc.json").read_text())["notes"][0]
    known = read_registration_record(tmp_path / "old.h5")
    assert known.doubts(date(2019, 1, 1)) == ()


@pytest.mark.parametrize(
    ("emission", "crop", "text"),
    [((525.0, 650.0), False, "no such channel"), ((525.0, 605.0), True, "different fields")],
)
def test_register_refuses_what_does_not_belong(folder, tmp_path, capsys, emission, crop, text):
    names = sr_pictures(tmp_path, emission)
    if crop:
        for name in names:
            write_image(name, tifffile.imread(name)[:300, :300], pixel_um=PIXEL_UM / 2,
                        provenance={"emission_nm": [emission[names.index(name)]]})  # fmt: skip
    code = execute(simrecon_app, ["register", *names, "--registration", str(folder / "reg.h5"),
                                  "-o", str(tmp_path / "both.ome.tif")])  # fmt: skip
    assert code == 3
    assert text in capsys.readouterr().err
    assert not (tmp_path / "both.ome.tif").exists()


@pytest.mark.parametrize(
    ("case", "code", "text"),
    [("empty", 4, "No bead"), ("saturated", 4, "saturated"), ("constant", 4, "No bead was found"),
     ("pixel", 4, "nm wide"), ("shapes", 3, "different shapes"), ("few", 4, "beads"),
     ("wavelengths", 3, "--emission-nm")],
)  # fmt: skip
def test_bad_beads_are_refused(tmp_path, capsys, counts, case, code, text):
    known, data = list(KNOWN), [c.copy() for c in counts]
    if case == "empty":
        rng = np.random.default_rng(0)
        data = [rng.poisson(200, c.shape).astype(np.uint16) for c in data]
    elif case == "saturated":
        data = [np.minimum(100 + (c.astype(int) - 100) * 12, 4095).astype(np.uint16) for c in data]
    elif case == "constant":
        data = [np.full_like(c, 4095) for c in data]
    elif case == "pixel":
        known[1] = str(2 * PIXEL_UM)
    elif case == "shapes":
        data[1] = data[1][:150]
    elif case == "few":
        data = list(picture(affine(), some=beads()[:4]))
    else:
        known = known[:4]
    names = []
    for n, one in enumerate(data):
        names.append(str(tmp_path / f"{n}.tif"))
        tifffile.imwrite(names[-1], one)
    (tmp_path / "out").mkdir()
    argv = ["registration", *names, "-o", str(tmp_path / "out" / "r.h5"), *known]
    assert execute(app, argv) == code
    said = capsys.readouterr().err
    assert text in said
    assert "Traceback" not in said
    assert list((tmp_path / "out").iterdir()) == []

import math

import pytest

from simrecon.errors import UsageError
from simrecon.model.axes import parse_order
from simrecon.model.pattern import line_distance_rad
from simrecon.presets import PRESETS, find_preset, match_presets


def test_names_are_unique_and_every_preset_names_its_source():
    names = [p.name for p in PRESETS]
    assert len(set(names)) == len(names)
    assert all(p.source for p in PRESETS)


@pytest.mark.parametrize("preset", PRESETS, ids=lambda p: p.name)
def test_presets_are_consistent(preset):
    if preset.order is not None:
        parse_order(preset.order if "A" in preset.order else preset.order + "A")
    for directions in preset.directions_rad:
        assert len(directions) == preset.angles
    if preset.na is not None and preset.index is not None:
        assert preset.na < preset.index
    if preset.period_um is not None and preset.na is not None and preset.excitation_nm is not None:
        assert preset.period_um > preset.excitation_nm * 1e-3 / (2 * 1.6)


def test_periods_from_the_na_of_excitation():
    assert find_preset("multisim-tirf-488").period_um == pytest.approx(0.1807, abs=1e-4)
    assert find_preset("multisim-3d-488").period_um == pytest.approx(0.2085, abs=1e-4)
    assert find_preset("omx-3d-488").period_um == 0.2035


def test_unknown_name():
    with pytest.raises(UsageError, match="Unknown preset"):
        find_preset("nonsense")


def test_overrides_are_reader_arguments():
    assert find_preset("nsim-2d").overrides() == {
        "angles": 3, "phases": 3, "pixel_um": 0.065, "na": 1.49, "index": 1.515
    }  # fmt: skip


def test_lines_have_no_sign():
    assert line_distance_rad(0.1, 0.1 + math.pi) == pytest.approx(0, abs=1e-12)
    assert line_distance_rad(-1.5, 1.5) == pytest.approx(math.pi - 3.0)


def test_multi_sim_is_recognised_by_pixel_and_na():
    found = match_presets(
        angles=3, phases=3, pixel_um=0.0626, excitation_nm=488, excitation_na=1.35
    )
    assert [m.preset.name for m in found] == ["multisim-tirf-488"]
    assert len(found[0].agrees) == 3


def test_directions_in_any_sequence_and_sign_of_line():
    directions = (0.4344, -1.66 + math.pi, -0.6128)
    found = match_presets(pixel_um=0.0626, angles=3, phases=3, directions_rad=directions)
    assert any("directions" in fact for fact in found[0].agrees)


def test_mirrored_directions_are_named():
    directions = (-0.8043, -1.8555, 0.2388)
    found = match_presets(pixel_um=0.08, angles=3, phases=5, directions_rad=directions)
    assert found[0].preset.name == "omx-3d-488"
    assert any("mirrored" in fact for fact in found[0].agrees)


def test_other_pixels_do_not_match():
    assert match_presets(angles=3, phases=3, pixel_um=0.0867, na=1.49) == ()


def test_an_na_alone_is_no_match():
    assert match_presets(na=1.49, angles=3, phases=3) == ()


def test_contradictions_outweigh():
    found = match_presets(
        angles=3, phases=3, pixel_um=0.0626, excitation_na=1.0, excitation_nm=640, period_um=0.32
    )
    assert found == ()

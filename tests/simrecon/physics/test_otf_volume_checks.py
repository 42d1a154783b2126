"""Volume OTFs of other optics are refused with both numbers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from simrecon.errors import InputError
from simrecon.model.optics import Optics
from simrecon.physics.otf_volume_checks import check_volume_otf
from simrecon.physics.theory_volume import theoretical_volume_otf

OPTICS = Optics(na=1.1, emission_nm=520, immersion_index=1.33, excitation_nm=488, excitation_na=0.9)


@pytest.fixture(scope="module")
def otf():
    return theoretical_volume_otf(OPTICS, extent_um=4.0)


def stretched(otf, lateral=1.0, axial=1.0):
    """As read with a pixel (or plane distance) that many times too small."""
    return replace(
        otf,
        kr_per_um=otf.kr_per_um * lateral,
        kz_per_um=otf.kz_per_um * axial,
        cutoff_per_um=otf.cutoff_per_um * lateral,
        axial_cutoff_per_um=tuple(axial * k for k in otf.axial_cutoff_per_um),
    )


def test_the_right_one_passes_without_notes(otf):
    assert check_volume_otf(otf, OPTICS, orders=3) == []


@pytest.mark.parametrize(
    "lateral, axial, what",
    [(2, 1, "radius"), (0.5, 1, "radius"), (1, 2, "height"), (1, 0.5, "height")],
)
def test_wrong_pixel_or_plane_distance(otf, lateral, axial, what):
    with pytest.raises(InputError, match=what) as caught:
        check_volume_otf(stretched(otf, lateral, axial), OPTICS, orders=3)
    assert "per µm" in caught.value.expected
    assert "per µm" in caught.value.got


def test_a_sheet_may_widen_order_0(otf):
    wide = stretched(otf, axial=2.0)
    assert check_volume_otf(wide, OPTICS, orders=3, sheet_per_um=1.0) == []


def test_another_wavelength_is_noted_or_refused(otf):
    assert check_volume_otf(otf, replace(OPTICS, emission_nm=700), orders=3)
    with pytest.raises(InputError, match="does not belong"):
        check_volume_otf(otf, replace(OPTICS, emission_nm=1000), orders=3)


def test_too_few_orders(otf):
    with pytest.raises(InputError, match="fewer orders"):
        check_volume_otf(otf, OPTICS, orders=4)

"""Sparse deconvolution as a second opinion: the share that withheld pixels ask for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from zsdeconv import Measurement, ZsSettings, enhance
from zsdeconv.companion import PRIOR_SHARE, Companion, sentences, takes_part
from zsdeconv.consistency import flux_factor
from zsdeconv.learned import Learned
from zsdeconv.pairs_image import image_measurement
from zsdeconv.pairs_sim import ideal_psf
from zsdeconv.recorrupt import recorrupt
from zsdeconv.stacking import Copy

CUTOFF_PX = 0.25


def picture(light: float) -> tuple[Measurement, np.ndarray]:
    """Some blobs at a light level, and the truth."""
    rng = np.random.default_rng(3)
    spots = gaussian_filter((rng.random((64, 64)) > 0.99).astype(float), 1.5)
    truth = light * (0.1 + spots / spots.max())
    psf = ideal_psf(CUTOFF_PX, 25)
    seen = image_measurement(truth, 1.0, psf, 0.1).predict(truth.astype(np.float32))[0]
    noisy = rng.poisson(np.maximum(seen, 0.0)) + rng.normal(0.0, 1.0, seen.shape)
    measured = image_measurement(noisy, seen + 1.0, psf, 0.1)
    shown = ideal_psf(1.5 * CUTOFF_PX, 25)
    measured = replace(measured, image_cutoff_px=CUTOFF_PX, shown_psf=shown)
    return measured, truth.astype(np.float32)


def fitted(m: Measurement, objects: np.ndarray, where: np.ndarray) -> Companion:
    """The companion of a method that makes the same object of every copy."""
    rng = np.random.default_rng(0)
    frames, copies = [], []
    for sign in (1, -1):
        copy, partner = recorrupt(m.frames_e, m.draw_noise(rng), 0.5, sign)
        frames.append(copy)
        copies.append(Copy(objects, objects, partner, 5.0))
    return Companion.fit(m, frames, copies, where, rng)


def test_the_truth_keeps_its_place_and_a_flat_object_loses_it():
    m, truth = picture(400.0)
    where = np.random.default_rng(1).random(truth.shape) < 0.5
    assert fitted(m, truth, where).share < 0.1
    assert fitted(m, np.full_like(truth, truth.mean()), where).share > 0.9


def test_few_pixels_leave_equal_shares():
    m, truth = picture(5.0)
    where = np.zeros(truth.shape, bool)
    where[30:32, 30:32] = True
    assert fitted(m, truth, where).share == pytest.approx(PRIOR_SHARE, abs=0.1)


def test_only_the_pixels_that_count_are_asked():
    """Elsewhere the object may know the partners by heart: that says nothing."""
    m, truth = picture(400.0)
    where = np.zeros(truth.shape, bool)
    where[:, :28] = True
    half = truth.copy()
    half[:, 36:] = truth.mean()  # (a PSF apart)
    assert fitted(m, half, where).share < 0.2
    assert fitted(m, half, ~where).share > 0.8


def test_equal_shares_of_two_opinions_are_nearer_to_the_truth():
    m, truth = picture(10.0)
    sparse = Companion(5, 1.0).sparse(m, m.frames_e)
    other = truth + np.random.default_rng(2).normal(0.0, np.std(sparse - truth), truth.shape)
    mixed = Companion(5, 0.5)(m, other.astype(np.float32))
    np.testing.assert_allclose(mixed, 0.5 * (other + flux_factor(m, sparse) * sparse), rtol=1e-4)
    assert np.std(mixed - truth) < 0.85 * min(np.std(sparse - truth), np.std(other - truth))


def test_who_has_one():
    m, truth = picture(10.0)
    some = np.zeros(truth.shape, bool)
    assert not takes_part(m, None)
    assert not takes_part(m, some)
    some[3] = True
    assert takes_part(m, some)
    assert not takes_part(replace(m, zoom=2), some)
    assert not takes_part(replace(m, dz_um=0.2), some)
    assert not takes_part(replace(m, shown_psf=None), some)
    assert sentences(None) == []


def test_an_enhancement_and_its_model_take_the_same_share():
    m, _ = picture(10.0)
    small = ZsSettings(width=4, patch=48, bank=2, iterations=3, uncertainty_draws=0,
                       held_out_draws=0, probes=False, companion=True, device="cpu")  # fmt: skip
    made = enhance(m, small)
    facts = made.model_facts
    assert 0.0 < facts["companion"]["share"] <= 1.0
    assert any(r.startswith("companion: ") for r in made.qc["reasons"])
    again = Learned.of(made.model, facts, CUTOFF_PX, device="cpu")(m)
    np.testing.assert_allclose(again.deconvolved, made.deconvolved, rtol=1e-3, atol=1e-3)
    alone = enhance(m, small.model_copy(update={"companion": False}))
    assert alone.model_facts["companion"] is None
    assert np.abs(alone.deconvolved - made.deconvolved).max() > 0.01 * made.deconvolved.max()
    np.testing.assert_array_equal(alone.objects, made.objects)  # χ² and flux are the network's

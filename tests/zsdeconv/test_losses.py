from __future__ import annotations

import numpy as np
import pytest
import torch

from zsdeconv import losses, symmetry
from zsdeconv.bank import make_bank
from zsdeconv.data import PatchSampler, resimulate
from zsdeconv.measurement import Padding
from zsdeconv.psf_layer import PsfLayer
from zsdeconv.recorrupt import draw_noise
from zsdeconv.start import ClassicalStart


def _bank(measurement, alpha):
    padding = Padding.around((64, 72), 2, 16, least=96)
    rng = np.random.default_rng(0)
    return make_bank(measurement, padding, 8, alpha, rng, torch.device("cpu"))


@pytest.fixture(scope="module")
def prepared(scene):
    """Bank of strength 0.7."""
    _, _, _, measurement = scene
    bank = _bank(measurement, (0.7, 0.7))
    padding = bank.padding
    measurement.forward.prepare(padding.origin, padding.image_shape)
    return bank, measurement


def _sampler(bank, batch=6):
    return PatchSampler(bank, 96, batch, (0,), np.random.default_rng(3))


def _crops(field, batch, origin):
    return torch.stack(
        [field[y - origin[0] :, x - origin[1] :][:96, :96] for y, x in batch.origins]
    )[:, None]


@pytest.mark.parametrize("alpha", [(0.4, 0.4), (1.0, 1.0)])
def test_raw_likelihood_of_the_truth_is_one(scene, alpha):
    _, truth, _, measurement = scene
    bank = _bank(measurement, alpha)
    term = losses.RawLikelihood([measurement.forward], 2)
    padded = torch.from_numpy(bank.padding.image(truth.object_e))
    values = []
    for _ in range(6):
        batch = _sampler(bank).pairs()
        values.append(float(term(_crops(padded, batch, bank.padding.origin), batch, 24)))
    assert np.mean(values) == pytest.approx(1.0, abs=0.05)
    dark = float(term(torch.zeros(6, 1, 96, 96), batch, 24))
    assert dark > 1.5


def test_pairs_are_pairs(prepared):
    bank, _ = prepared
    batch = _sampler(bank).pairs()
    assert torch.allclose(batch.inflation, torch.tensor(1 + 0.7**-2))
    # x̂ = x + αn and x̃ = x − n/α: the noise cancels in x̂ + α² x̃
    clean = (batch.image + 0.49 * batch.target) / 1.49
    expected = _crops(bank.image, batch, bank.padding.origin)
    assert torch.allclose(clean, expected, atol=1e-3)


@pytest.mark.parametrize("kind", ["l2", "variance", "whitened"])
def test_image_residual_of_pure_noise_is_one(prepared, kind):
    """With x̃ − P ⊛ f = noise of the target, every weighting has mean 1."""
    bank, measurement = prepared
    psf = PsfLayer(measurement.effective_psf)
    kernel = None
    if kind == "whitened":
        kernel = losses.whitening_kernel(bank.noise.numpy(), measurement.effective_psf, 63)
    term = losses.ImageResidual(psf, kind, kernel)
    batch = _sampler(bank, batch=8).pairs()
    noise = torch.stack([bank.noise[i % 8, 20:116, 20:116] for i in range(8)])[:, None]
    variance = torch.stack([bank.variance[20:116, 20:116]] * 8)[:, None]
    fake = type(batch)(
        batch.image, batch.start, noise * torch.sqrt(batch.inflation), batch.raw_target,
        batch.weights, variance, batch.inflation, batch.origins, batch.operations,
    )  # fmt: skip
    value = float(term(torch.zeros_like(noise), fake, 16))
    assert value == pytest.approx(1.0, abs=0.2)


def test_whitening_flattens_the_spectrum(prepared):
    bank, measurement = prepared
    kernel = losses.whitening_kernel(bank.noise.numpy(), measurement.effective_psf, 63)
    before = bank.noise.numpy()[:, 20:83, 20:83]
    after = PsfLayer(kernel)(torch.from_numpy(before)).numpy()
    support = np.abs(np.fft.fft2(np.fft.ifftshift(kernel))) > 0.3

    def spread(fields):
        power = (np.abs(np.fft.fft2(fields)) ** 2).mean(axis=0)[support]
        return np.std(np.log(power))

    assert spread(after) < 0.6 * spread(before)


def test_resimulation_is_a_new_measurement_of_the_turned_estimate(prepared, scene):
    bank, measurement = prepared
    estimate = scene[1].object_e
    seen = set()
    for seed in range(6):
        made = resimulate(measurement, bank, estimate, np.random.default_rng(seed))
        truth = bank.padding.crop_image(made.truth.numpy())
        turns = [op for op in (0, 2, 4, 6) if np.array_equal(
            symmetry.apply(torch.from_numpy(estimate), op).numpy(), truth)]  # fmt: skip
        assert len(turns) == 1
        seen.add(turns[0])
        clean = measurement.lift(measurement.predict(truth))
        noise = bank.padding.crop_image(made.image.numpy()) - clean
        assert 0.7 * 1.49 < np.var(noise) / bank.sigma**2 < 1.4 * 1.49  # 1 + α²
        start = bank.padding.crop_image(made.start.numpy())
        assert np.corrcoef(start.ravel(), truth.ravel())[0, 1] > 0.5
    assert len(seen) > 1


def test_start_is_stopped_by_the_independent_copy(scene):
    """The chosen iteration is close to the best one for the noise-free frames."""
    _, truth, _, measurement = scene
    padding = Padding.around((64, 72), 2, 16)
    rng = np.random.default_rng(5)
    start = ClassicalStart(measurement, padding, draw_noise(measurement.variance_e2, rng))
    clean = truth.expected_e.reshape(measurement.frames_e.shape)
    errors = []
    for n in range(2, 20, 3):
        found = ClassicalStart(measurement, padding, iterations=n)(measurement.frames_e)
        predicted = measurement.predict(padding.crop_image(found.numpy()))
        errors.append(float(np.mean((predicted - clean) ** 2 / measurement.variance_e2)))
    best = 2 + 3 * int(np.argmin(errors))
    assert abs(start.iterations - best) <= 4
    assert errors[0] > 2 * min(errors)


def test_priors_vanish_where_they_should():
    y, x = torch.meshgrid(torch.arange(20.0), torch.arange(20.0), indexing="ij")
    plane = (2 * x + 3 * y)[None, None]
    assert float(losses.total_variation(plane, 1.0)) == pytest.approx(5.0)
    assert float(losses.hessian_l1(plane, 1.0)) == pytest.approx(0.0, abs=1e-5)
    assert float(losses.hessian_l1((x * y)[None, None], 2.0)) == pytest.approx(1.0)

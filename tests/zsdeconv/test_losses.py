from __future__ import annotations

import numpy as np
import pytest
import torch

from zsdeconv import losses
from zsdeconv.bank import make_bank
from zsdeconv.data import PatchSampler
from zsdeconv.measurement import Padding
from zsdeconv.psf_layer import PsfLayer


@pytest.fixture(scope="module")
def prepared(scene):
    """Bank whose frames have the *expected* variance, and a sampler."""
    _, _, _, measurement = scene
    padding = Padding.around((64, 72), 2, 16, least=96)
    bank = make_bank(measurement, padding, 8, np.random.default_rng(0), torch.device("cpu"))
    measurement.forward.prepare(padding.origin, padding.image_shape)
    return bank, measurement


def _sampler(bank, alpha=(0.7, 0.7), batch=6):
    return PatchSampler(bank, 96, batch, alpha, (0,), np.random.default_rng(3))


def _crops(field, batch, origin):
    return torch.stack(
        [field[y - origin[0] :, x - origin[1] :][:96, :96] for y, x in batch.origins]
    )[:, None]


@pytest.mark.parametrize("alpha", [(0.4, 0.4), (1.0, 1.0)])
def test_raw_likelihood_of_the_truth_is_one(prepared, scene, alpha):
    _, truth, _, measurement = scene
    bank, _ = prepared
    term = losses.RawLikelihood(measurement.forward, 2)
    padded = torch.from_numpy(bank.padding.image(truth.object_e))
    values = []
    for _ in range(6):
        batch = _sampler(bank, alpha).pairs()
        values.append(float(term(_crops(padded, batch, bank.padding.origin), batch, 24)))
    assert np.mean(values) == pytest.approx(1.0, abs=0.05)
    dark = float(term(torch.zeros(6, 1, 96, 96), batch, 24))
    assert dark > 1.5


def test_inflation_keeps_the_likelihood_at_one_and_pairs_are_pairs(prepared):
    bank, _ = prepared
    batch = _sampler(bank, (0.5, 0.5)).pairs()
    assert torch.allclose(batch.inflation, torch.tensor(5.0))
    # x̂ = x + αn and x̃ = x − n/α: the noise cancels in x̂ + α² x̃
    clean = (batch.image + 0.25 * batch.target) / 1.25
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
        batch.image, noise * torch.sqrt(batch.inflation), batch.raw_target, batch.weights,
        variance, batch.inflation, batch.origins, batch.operations,
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


def test_resimulated_images_are_blurred_turned_objects_with_noise(prepared):
    bank, measurement = prepared
    psf = PsfLayer(measurement.effective_psf)
    estimate = torch.zeros_like(bank.image)
    images, objects = _sampler(bank).resimulated(estimate, psf)
    assert float(objects.abs().max()) == 0.0
    ratio = float(images.var()) / bank.sigma**2
    assert 0.7 * 1.49 < ratio < 1.4 * 1.49  # 1 + α²
    shape = bank.image.shape
    estimate = torch.arange(float(shape[0] * shape[1])).reshape(shape) % 97
    _, objects = _sampler(bank, batch=20).resimulated(estimate, psf)
    plain = estimate.unfold(0, 96, 2).unfold(1, 96, 2).reshape(-1, 96 * 96)
    same = [(plain == o.reshape(1, -1)).all(dim=1).any() for o in objects]
    assert 0 < sum(bool(s) for s in same) < 20  # some turned, some not


def test_priors_vanish_where_they_should():
    y, x = torch.meshgrid(torch.arange(20.0), torch.arange(20.0), indexing="ij")
    plane = (2 * x + 3 * y)[None, None]
    assert float(losses.total_variation(plane, 1.0)) == pytest.approx(5.0)
    assert float(losses.hessian_l1(plane, 1.0)) == pytest.approx(0.0, abs=1e-5)
    assert float(losses.hessian_l1((x * y)[None, None], 2.0)) == pytest.approx(1.0)

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.signal import convolve2d

from simrecon.errors import UsageError
from zsdeconv.measurement import PsfForward
from zsdeconv.psf_layer import PsfLayer


def _asymmetric(shape):
    rng = np.random.default_rng(0)
    psf = rng.random(shape)
    psf[: shape[0] // 2] *= 3.0
    return psf / psf.sum()


@pytest.mark.parametrize("size", [(5, 7), (7, 5), (9, 9)])
def test_is_a_convolution_with_an_asymmetric_kernel(size):
    psf = _asymmetric(size)
    image = np.random.default_rng(1).random((40, 44))
    direct = convolve2d(image, psf, mode="same")
    layer = PsfLayer(psf)(torch.from_numpy(image.astype(np.float32))).numpy()
    inner = np.s_[6:-6, 6:-6]
    np.testing.assert_allclose(layer[inner], direct[inner], rtol=0, atol=1e-5)
    flipped = PsfLayer(psf[::-1, ::-1].copy())(torch.from_numpy(image.astype(np.float32))).numpy()
    assert np.abs(flipped[inner] - direct[inner]).max() > 1e-2


@pytest.mark.parametrize("size", [(5, 7), (6, 8), (6, 5)])
def test_transpose_of_the_plain_forward_model(size):
    forward = PsfForward(_asymmetric(size))
    rng = np.random.default_rng(2)
    f = torch.from_numpy(rng.standard_normal((32, 36)).astype(np.float32))
    g = torch.from_numpy(rng.standard_normal((1, 32, 36)).astype(np.float32))
    left = float((forward(f[None, None], [(0, 0)])[0] * g).sum())
    right = float((f * forward.transpose(g, (0, 0))).sum())
    assert abs(left - right) < 1e-5 * float(f.norm() * g.norm())


def test_kernel_wider_than_the_patch_wraps_with_its_sum():
    psf = np.full((41, 41), 1.0 / 41**2)
    out = PsfLayer(psf)(torch.ones(16, 16))
    assert torch.allclose(out, torch.ones(16, 16), atol=1e-5)


def test_psf_needs_two_axes():
    with pytest.raises(UsageError):
        PsfLayer(np.ones(5))


def test_what_was_first_used_for_inference_can_be_trained_through():
    layer = PsfLayer(np.ones((3, 3)))
    with torch.inference_mode():
        layer(torch.ones(8, 8))
    picture = torch.ones(8, 8, requires_grad=True)
    layer(picture).sum().backward()
    assert picture.grad is not None
    np.testing.assert_allclose(picture.grad, 9.0, rtol=1e-5)

from __future__ import annotations

import pytest
import torch

from zsdeconv.config import ZsSettings
from zsdeconv.infer import apply_network
from zsdeconv.models import CompactNet, PaperUnet, build_network, parameter_count


@pytest.mark.parametrize("upsample", [False, True])
def test_paper_network_has_the_published_size(upsample):
    assert parameter_count(PaperUnet(upsample)) == 13_109_010


@pytest.mark.parametrize("upsample, factor", [(False, 1), (True, 2)])
def test_paper_network_shapes(upsample, factor):
    network = build_network(ZsSettings(network="unet_paper", upsample=upsample))
    with torch.inference_mode():
        first, second = network(torch.rand(1, 1, 32, 48), torch.rand(1, 1, 32, 48))
    assert first.shape == (1, 1, 32, 48)
    assert second.shape == (1, 1, 32 * factor, 48 * factor)


def test_compact_network_begins_at_local_mean_and_start_and_is_not_negative():
    torch.manual_seed(0)
    network = CompactNet()
    image, start = torch.randn(2, 1, 40, 48), 0.01 + torch.rand(2, 1, 40, 48)
    with torch.inference_mode():
        denoised, objects = network(image, start)
        assert torch.allclose(denoised, network.mean(image), atol=1e-6)
        low = torch.minimum(start, denoised.clamp(min=0.0)) - 0.05
        high = torch.maximum(start, denoised) + 0.05
        assert bool(((objects >= low) & (objects <= high)).all())
        assert float((objects - start).abs().mean()) < 0.3 * float((start - denoised).abs().mean())
        _trained_like(network)
        _, objects = network(100 * image, torch.zeros_like(start))
    assert float(objects.min()) >= 0
    assert 300_000 < parameter_count(network) < 700_000


def _trained_like(network):
    """Random weights of the size that training reaches, so that every layer matters."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for p in network.parameters():
            p.add_(0.02 * torch.randn(p.shape, generator=generator))
    return network


@pytest.mark.parametrize("shape", [(600, 33), (40, 937)])
def test_tiles_equal_the_whole(shape):
    """Tiles are made as large as the reach of the network needs, and the overlap as well."""
    network = _trained_like(CompactNet(width=4))
    image = torch.rand(shape, generator=torch.Generator().manual_seed(2)) * 50
    whole = apply_network(network, image, image.abs(), 30.0, tile=1024)
    tiled = apply_network(network, image, image.abs(), 30.0, tile=128)
    for a, b in zip(whole, tiled, strict=True):
        assert a.shape == shape
        assert float((a - b).abs().max()) < 1e-5 * float(a.abs().max())


def test_a_field_is_cut_evenly():
    """Two tiles of 632 for 1040 pixels, where cuts of 768 would leave the second mostly overlap."""
    network = _Counting(CompactNet(width=4))
    image = torch.rand((1040, 8), generator=torch.Generator().manual_seed(2))
    apply_network(network, image, image, 1.0, tile=768)
    assert network.shapes == [(632, 8)] * 2


class _Counting(torch.nn.Module):
    """A network that notes what it is given."""

    def __init__(self, network):
        super().__init__()
        self.network, self.shapes = network, []
        self.multiple, self.margin = network.multiple, network.margin
        self.upsample = network.upsample

    def forward(self, x, start):
        self.shapes.append(tuple(x.shape[2:]))
        return self.network(x, start)


def test_normalisation_is_inverted_exactly():
    network = _trained_like(CompactNet(width=8))
    image = torch.rand(64, 64, generator=torch.Generator().manual_seed(3))
    one = apply_network(network, image, image, 1.0)
    other = apply_network(network, image * 250.0, image * 250.0, 250.0)
    for a, b in zip(one, other, strict=True):
        assert torch.allclose(a * 250.0, b, rtol=1e-4, atol=1e-3)

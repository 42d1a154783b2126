from __future__ import annotations

import pytest
import torch

from simrecon.errors import UsageError
from zsdeconv.config import build_settings
from zsdeconv.infer import apply_network
from zsdeconv.models import (
    CompactNet,
    CompactNet3D,
    FourierAttentionNet,
    PaperRcan3D,
    PaperUnet,
    PaperUnet3D,
    RichardsonLucyNet,
    build_network,
    parameter_count,
)
from zsdeconv.models.compact3d import folded, unfolded


def _trained_like(network):
    """Random weights of the size that training reaches, so that every layer matters."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for p in network.parameters():
            p.add_(0.02 * torch.randn(p.shape, generator=generator))
    return network


def test_paper_networks_have_the_published_sizes():
    assert parameter_count(PaperRcan3D()) == 2_003_490
    with torch.device("meta"):
        assert parameter_count(PaperUnet3D()) == 38_952_562


SMALL = {
    "compact3d": lambda: CompactNet3D(width=4),
    "compact3d, full": lambda: CompactNet3D(width=4, factorised=False),
    "rcan3d": lambda: PaperRcan3D(width=8, blocks=1, squeeze=4),
    "unet3d": lambda: PaperUnet3D(widths=(4, 8)),
    "rln3d": lambda: RichardsonLucyNet(dims=3, width=4),
    "rln": lambda: RichardsonLucyNet(dims=2, width=4),
    "dfcan": lambda: FourierAttentionNet(width=8, groups=1, blocks=1),
}
WITH_MARGIN = {
    **{k: SMALL[k] for k in ("compact3d", "compact3d, full", "unet3d", "rln3d", "rln")},
    "compact": lambda: CompactNet(width=4),
    "compact, 2 blocks": lambda: CompactNet(width=4, blocks=2),
    "unet_paper": PaperUnet,
}


@pytest.mark.parametrize("name", SMALL)
def test_both_stages_keep_the_shape_and_learn(name):
    torch.manual_seed(0)
    network = _trained_like(SMALL[name]())
    shape = (1, 1, 16, 24) if name in ("rln", "dfcan") else (1, 1, 6, 16, 24)
    x = torch.rand(shape, generator=torch.Generator().manual_seed(2))
    denoised, objects = network(x, x)
    assert denoised.shape == objects.shape == shape
    objects.mean().backward()
    moved = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert not [
        n for n in moved if "attention" not in n and "spectrum" not in n
    ]  # the object's loss reaches both stages


@pytest.mark.parametrize("name", WITH_MARGIN)
def test_the_margin_is_what_the_network_sees(name):
    """A change further away than the margin changes nothing at all; a near one does.

    All weights are positive, so that influences add up.
    """
    network = _trained_like(WITH_MARGIN[name]())
    for p in network.parameters():
        p.data.abs_().add_(0.02)
        if p.ndim > 1:
            p.data.div_(p.flatten(1).sum(1).view(-1, *(1,) * (p.ndim - 1)))
    axes = 2 if isinstance(network.multiple, int) else 3
    margin = network.margin if axes == 3 else (network.margin,) * 2
    for axis in range(axes):
        size = [4] + [network.multiple[1]] * 2 if axes == 3 else [network.multiple] * 2
        unit = network.multiple[axis] if axes == 3 else network.multiple
        size[axis] = -(-(margin[axis] + 9) // unit) * unit
        x = torch.rand((1, 1, *size), generator=torch.Generator().manual_seed(3))
        other = x.clone()
        other.select(axis + 2, 0).add_(1.0)
        with torch.inference_mode():
            both = network(x, x)[1] - network(other, other)[1]
        lead = [a for a in range(both.ndim) if a != axis + 2]
        profile = both.abs().amax(dim=lead)
        assert not profile[margin[axis] + 1 :].any()
        assert bool((profile[: margin[axis] // 4] > 0).all())


def test_folding_is_undone():
    x = torch.rand(2, 3, 4, 6, 8)
    assert folded(x).shape == (2, 12, 4, 3, 4)
    assert torch.equal(unfolded(folded(x)), x)
    assert torch.equal(folded(x)[0, 1, :, 0, 0], x[0, 0, :, 0, 1])


def test_compact_volume_network_begins_at_local_mean_and_start():
    torch.manual_seed(0)
    network = CompactNet3D(width=8)
    image, start = torch.randn(1, 1, 6, 16, 16), 0.01 + torch.rand(1, 1, 6, 16, 16)
    with torch.inference_mode():
        denoised, objects = network(image, start)
    assert torch.allclose(denoised, network.mean(image), atol=1e-6)
    assert float((objects - start).abs().mean()) < 0.3 * float((start - denoised).abs().mean())
    assert float(objects.min()) >= 0


@pytest.mark.parametrize("shape, tile", [((70, 40, 25), (64, 256, 256)), ((7, 24, 300), 256)])
def test_tiles_of_a_volume_equal_the_whole(shape, tile):
    network = _trained_like(CompactNet3D(width=4))
    volume = torch.rand(shape, generator=torch.Generator().manual_seed(2)) * 50
    whole = apply_network(network, volume, volume.abs(), 30.0, tile=512)
    tiled = apply_network(network, volume, volume.abs(), 30.0, tile=tile)
    for a, b in zip(whole, tiled, strict=True):
        assert a.shape == shape
        assert float((a - b).abs().max()) < 1e-4 * float(a.std())


@pytest.mark.parametrize("name", ["dfcan", "rln", "compact3d", "rcan3d", "rln3d"])
def test_settings_name_the_network(name):
    network = build_network(build_settings(network=name))
    kinds = {"dfcan": FourierAttentionNet, "rln": RichardsonLucyNet, "rln3d": RichardsonLucyNet,
             "compact3d": CompactNet3D, "rcan3d": PaperRcan3D}  # fmt: skip
    assert type(network) is kinds[name]
    assert build_settings(network=name).of_volumes == name.endswith("3d")


def test_an_unknown_network_is_refused():
    with pytest.raises(UsageError, match="impossible value"):
        build_settings(network="unet4d")

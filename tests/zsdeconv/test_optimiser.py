from __future__ import annotations

import pytest
import torch
from torch import nn

from zsdeconv.models import CompactNet
from zsdeconv.optimiser import Optimiser, orthogonalised


@pytest.mark.parametrize("shape", [(12, 40), (40, 12), (16, 16)])
def test_orthogonalised_keeps_singular_vectors_and_levels_the_values(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    found = orthogonalised(1e-4 * matrix)
    u, _, vh = torch.linalg.svd(matrix, full_matrices=False)
    levelled = u.T @ found @ vh.T
    assert float((levelled - torch.diag(torch.diag(levelled))).abs().max()) < 1e-3
    assert float(torch.diag(levelled).min()) > 0.6
    assert float(torch.diag(levelled).max()) < 1.3
    assert float(orthogonalised(torch.zeros(shape)).abs().max()) == 0.0


def _network():
    """With weights of the size that training reaches, so that every gradient has full rank."""
    torch.manual_seed(0)
    network = CompactNet(width=8)
    with torch.no_grad():
        for p in network.parameters():
            p.add_(0.1 * torch.randn(p.shape))
    return network


def _loss(network):
    x, y = torch.rand(2, 1, 1, 16, 16, generator=torch.Generator().manual_seed(1))
    denoised, objects = network(x, x)
    return ((objects - y) ** 2).mean() + ((denoised - y) ** 2).mean()


def test_inner_convolutions_move_in_all_directions_alike_and_the_rest_by_adam():
    network = _network()
    before = {n: p.detach().clone() for n, p in network.named_parameters()}
    optimiser = Optimiser(network, orthogonal=True)
    for _ in range(3):
        optimiser.zero_grad()
        _loss(network).backward()
        optimiser.step(1e-3, 0.02)
    moved = {n: p.detach() - before[n] for n, p in network.named_parameters()}
    inner = moved["deconvolve.decode.0.0.second.weight"].flatten(1)
    values = torch.linalg.svdvals(inner)
    assert float(values[0]) == pytest.approx(0.06, rel=0.35)
    assert float(values[-1]) > 0.3 * float(values[0])
    head, bias = moved["denoise.head.weight"], moved["denoise.tail.bias"]
    assert 0 < float(head.abs().max()) < 4e-3
    assert 0 < float(bias.abs().max()) < 4e-3
    assert float(_loss(network).detach()) < float(_loss(_network()).detach())


def test_without_orthogonal_steps_adam_serves_all():
    network, same = _network(), _network()
    optimiser = Optimiser(network, orthogonal=False)
    adam = torch.optim.Adam(same.parameters(), lr=1e-3, betas=(0.9, 0.99))
    for _ in range(2):
        optimiser.zero_grad()
        _loss(network).backward()
        optimiser.step(1e-3, 0.02)
        adam.zero_grad()
        _loss(same).backward()
        adam.step()
    for a, b in zip(network.parameters(), same.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_network_without_gradients_stays_as_it_is():
    nets = nn.Sequential(nn.Conv2d(2, 2, 3), nn.Conv2d(2, 2, 3))
    before = [p.detach().clone() for p in nets.parameters()]
    Optimiser(nets, orthogonal=True).step(1e-3, 0.02)
    assert all(torch.equal(a, b) for a, b in zip(before, nets.parameters(), strict=True))

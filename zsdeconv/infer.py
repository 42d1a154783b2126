"""Applying a trained network to a whole field, in tiles that blend."""

from __future__ import annotations

import torch

from zsdeconv.models import CompactNet, PaperUnet

Network = CompactNet | PaperUnet


def apply_network(
    network: Network,
    image: torch.Tensor,
    start: torch.Tensor,
    scale: float,
    tile: int = 512,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Denoised image and object of a padded field.

    Parameters
    ----------
    network
        In training units.
    image, start : tensor, shape (Y, X), e
        Noisy image and classical start; any size, mirror-extended to the network's multiple.
    scale
        Linear normalisation, undone exactly on output.
    tile
        Side of a tile, pixels; neighbours overlap by twice the network's margin and are
        blended linearly.

    Returns
    -------
    (denoised, object) : tensors in e
        Shapes (Y, X) and the same (or 2Y, 2X with up-sampling).
    """
    y, x = image.shape
    unit = network.multiple
    tile = max(tile // unit * unit, 4 * network.margin)
    padded, begun = _extend(image, unit), _extend(start, unit)
    factor = 2 if network.upsample else 1
    rows, columns = (_starts(n, tile, unit, network.margin) for n in padded.shape)
    first = torch.zeros_like(padded)
    second = padded.new_zeros((padded.shape[0] * factor, padded.shape[1] * factor))
    weight1, weight2 = torch.zeros_like(first), torch.zeros_like(second)
    with torch.inference_mode():
        for r in rows:
            for c in columns:
                part = padded[r : r + tile, c : c + tile]
                other = begun[r : r + tile, c : c + tile]
                denoised, objects = network(part[None, None] / scale, other[None, None] / scale)
                _blend(first, weight1, denoised[0, 0], (r, c), network.margin)
                _blend(second, weight2, objects[0, 0], (r * factor, c * factor),
                       network.margin * factor)  # fmt: skip
    denoised = (first / weight1)[:y, :x] * scale
    return denoised.clone(), ((second / weight2)[: y * factor, : x * factor] * scale).clone()


def _extend(image: torch.Tensor, unit: int) -> torch.Tensor:
    below, right = (-image.shape[0]) % unit, (-image.shape[1]) % unit
    image = torch.cat((image, image[image.shape[0] - below :].flip(0)), dim=0)
    return torch.cat((image, image[:, image.shape[1] - right :].flip(1)), dim=1)


def _starts(length: int, tile: int, unit: int, margin: int) -> list[int]:
    """First pixels of tiles of side `tile` (or one tile) that cover `length` with overlap."""
    if length <= tile:
        return [0]
    stride = max(unit, (tile - 2 * margin) // unit * unit)
    starts = list(range(0, length - tile, stride))
    return [*starts, (length - tile) // unit * unit]


def _blend(
    total: torch.Tensor,
    weight: torch.Tensor,
    part: torch.Tensor,
    start: tuple[int, int],
    margin: int,
) -> None:
    """Add a tile; its weight falls linearly over its margin at borders inside the field."""
    ramps = []
    for axis in (0, 1):
        n = part.shape[axis]
        ramp = torch.ones(n, device=part.device)
        edge = torch.linspace(0.0, 1.0, 2 * margin + 2, device=part.device)[1:-1]
        edge = torch.clamp(2.0 * edge - 0.5, min=1e-3, max=1.0)
        if start[axis] > 0:
            ramp[: 2 * margin] = edge
        if start[axis] + n < total.shape[axis]:
            ramp[-2 * margin :] = edge.flip(0)
        ramps.append(ramp)
    window = ramps[0][:, None] * ramps[1][None, :]
    rows = slice(start[0], start[0] + part.shape[0])
    columns = slice(start[1], start[1] + part.shape[1])
    total[rows, columns] += window * part
    weight[rows, columns] += window

"""Applying a trained network to a whole field or volume, in tiles that blend."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch

from zsdeconv.config import ZsSettings
from zsdeconv.models import Network

_BLEND = 8
"""Pixels over which neighbouring tiles pass into each other."""


def per_axis(value: int | Sequence[int], axes: int) -> tuple[int, ...]:
    """One number for all axes, or one for each."""
    return (value,) * axes if isinstance(value, int) else tuple(value)


def tile_shape(settings: ZsSettings) -> tuple[int, ...]:
    """The settings' tile, per axis of the pictures that their network takes."""
    planes = (settings.tile_planes,) if settings.of_volumes else ()
    return (*planes, settings.tile, settings.tile)


def apply_network(
    network: Network,
    image: torch.Tensor,
    start: torch.Tensor,
    scale: float,
    tile: int | Sequence[int] = 512,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Denoised image and object of a padded field.

    Parameters
    ----------
    network
        In training units.
    image, start : tensor, shape (Y, X) or (Z, Y, X), e
        Noisy image and classical start; any size, mirror-extended to the network's multiple.
    scale
        Linear normalisation, undone exactly on output.
    tile
        Longest sides of a tile, pixels. The field is cut evenly; neighbours overlap by more than
        twice the network's margin, which is not used, and are blended linearly.

    Returns
    -------
    (denoised, object) : tensors in e
        Of the image's shape (the object 2Y, 2X with up-sampling).
    """
    axes = image.ndim
    units, margins = (per_axis(v, axes) for v in (network.multiple, network.margin))
    padded, begun = _extend(image, units), _extend(start, units)
    sides = tuple(
        _side(n, t, u, m)
        for n, t, u, m in zip(padded.shape, per_axis(tile, axes), units, margins, strict=True)
    )
    factor = 2 if network.upsample else 1
    starts = [
        _starts(n, t, u, m) for n, t, u, m in zip(padded.shape, sides, units, margins, strict=True)
    ]
    first = torch.zeros_like(padded)
    second = padded.new_zeros([n * factor for n in padded.shape])
    windows1, windows2 = (
        [
            _windows(n * f, [i * f for i in s], t * f, m * f, image.device)
            for n, s, t, m in zip(padded.shape, starts, sides, margins, strict=True)
        ]
        for f in (1, factor)
    )
    with torch.inference_mode():
        for index in itertools.product(*(range(len(s)) for s in starts)):
            place = [s[i] for s, i in zip(starts, index, strict=True)]
            inside = tuple(slice(p, p + t) for p, t in zip(place, sides, strict=True))
            made = network(padded[inside][None, None] / scale, begun[inside][None, None] / scale)
            outside = tuple(
                slice(p * factor, (p + t) * factor) for p, t in zip(place, sides, strict=True)
            )
            first[inside] += (
                _product([w[i] for w, i in zip(windows1, index, strict=True)]) * made[0][0, 0]
            )
            second[outside] += (
                _product([w[i] for w, i in zip(windows2, index, strict=True)]) * made[1][0, 0]
            )
    shown = tuple(slice(0, n) for n in image.shape)
    finer = tuple(slice(0, n * factor) for n in image.shape)
    return (first[shown] * scale).clone(), (second[finer] * scale).clone()


def _extend(image: torch.Tensor, units: Sequence[int]) -> torch.Tensor:
    """Mirror images behind the field until its sizes are multiples of `units`."""
    for axis, unit in enumerate(units):
        n = image.shape[axis]
        missing = -n % unit
        image = torch.cat((image, image.narrow(axis, n - missing, missing).flip(axis)), dim=axis)
    return image


def _side(length: int, longest: int, unit: int, margin: int) -> int:
    """Side of the fewest even tiles that cover `length`, or `length` where one does."""
    overlap = _overlap(unit, margin)
    longest = max(longest // unit * unit, 2 * overlap)
    if length <= longest:
        return length
    count = -(-(length - overlap) // (longest - overlap))
    return -(-(length + (count - 1) * overlap) // (count * unit)) * unit


def _starts(length: int, tile: int, unit: int, margin: int) -> list[int]:
    """First pixels of tiles of side `tile` (or one tile) that cover `length` with overlap."""
    if length <= tile:
        return [0]
    return [*range(0, length - tile, tile - _overlap(unit, margin)), length - tile]


def _overlap(unit: int, margin: int) -> int:
    """Pixels that neighbouring tiles share, a multiple of `unit`."""
    return -(-(2 * margin + _BLEND) // unit) * unit


def _windows(
    length: int, starts: Sequence[int], tile: int, margin: int, device: torch.device
) -> list[torch.Tensor]:
    """Weights of the tiles along one axis; they add up to 1 everywhere.

    At borders inside the field a weight is 0 over the margin, which sees the cut, and then rises
    linearly.
    """
    ramps, total = [], torch.zeros(length, device=device)
    rise = torch.linspace(0.0, 1.0, _BLEND + 2, device=device)[1:-1]
    edge = torch.cat((torch.zeros(margin, device=device), rise))
    for begin in starts:
        ramp = torch.ones(min(tile, length - begin), device=device)
        if begin > 0:
            ramp[: len(edge)] = edge
        if begin + len(ramp) < length:
            ramp[-len(edge) :] = edge.flip(0)
        total[begin : begin + len(ramp)] += ramp
        ramps.append(ramp)
    return [r / total[b : b + len(r)] for r, b in zip(ramps, starts, strict=True)]


def _product(ramps: Sequence[torch.Tensor]) -> torch.Tensor:
    """Outer product of the axes' weights."""
    window = ramps[0]
    for ramp in ramps[1:]:
        window = window[..., None] * ramp
    return window

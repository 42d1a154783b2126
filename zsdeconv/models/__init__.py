"""Networks behind one small interface.

Every network maps a scaled noisy picture and a classical start, both (B, 1, [Z,] Y, X), to
``(denoised, object)``, its two stages; `multiple` is what the sizes must be multiples of, `margin`
the border that tiles discard (numbers, or one per axis), `upsample` whether the object of a plane
is twice as fine.
"""

from __future__ import annotations

import torch
from torch import nn

from zsdeconv.config import ZsSettings
from zsdeconv.models.compact import CompactNet
from zsdeconv.models.compact3d import CompactNet3D
from zsdeconv.models.dfcan import FourierAttentionNet
from zsdeconv.models.rcan3d import PaperRcan3D
from zsdeconv.models.rln import RichardsonLucyNet
from zsdeconv.models.unet3d_paper import PaperUnet3D
from zsdeconv.models.unet_paper import PaperUnet

Network = (
    CompactNet
    | PaperUnet
    | FourierAttentionNet
    | RichardsonLucyNet
    | CompactNet3D
    | PaperRcan3D
    | PaperUnet3D
)

__all__ = [
    "CompactNet",
    "CompactNet3D",
    "FourierAttentionNet",
    "Network",
    "PaperRcan3D",
    "PaperUnet",
    "PaperUnet3D",
    "RichardsonLucyNet",
    "build_network",
    "fastest_layout",
    "parameter_count",
]


def build_network(settings: ZsSettings) -> Network:
    """The network that the settings name, freshly initialised from torch's generator."""
    match settings.network:
        case "unet_paper":
            return PaperUnet(upsample=settings.upsample)
        case "dfcan":
            return FourierAttentionNet()
        case "rln" | "rln3d":
            return RichardsonLucyNet(dims=2 if settings.network == "rln" else 3)
        case "compact3d":
            return CompactNet3D(width=settings.width, blocks=settings.blocks)
        case "rcan3d":
            return PaperRcan3D()
        case "unet3d":
            return PaperUnet3D()
        case _:
            return CompactNet(width=settings.width, blocks=settings.blocks)


def fastest_layout(network: Network) -> Network:
    """The same network, its weights channels last: on CPUs convolutions are 1.4 times as fast."""
    layouts = {4: torch.channels_last, 5: torch.channels_last_3d}
    for p in network.parameters():
        if p.ndim in layouts:
            p.data = p.data.contiguous(memory_format=layouts[p.ndim])
    return network


def parameter_count(network: nn.Module) -> int:
    """Number of trainable values."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)

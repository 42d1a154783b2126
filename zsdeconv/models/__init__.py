"""Networks behind one small interface.

Every network maps a scaled noisy image and a classical start, both (B, 1, Y, X), to
``(denoised, object)``; `multiple` is what
Y and X must be multiples of, `margin` the border that tiles discard, `upsample` whether the
object is twice as fine.
"""

from __future__ import annotations

from torch import nn

from zsdeconv.config import ZsSettings
from zsdeconv.models.compact import CompactNet
from zsdeconv.models.unet_paper import PaperUnet

__all__ = ["CompactNet", "PaperUnet", "build_network", "parameter_count"]


def build_network(settings: ZsSettings) -> CompactNet | PaperUnet:
    """The network that the settings name, freshly initialised from torch's generator."""
    if settings.network == "unet_paper":
        return PaperUnet(upsample=settings.upsample)
    return CompactNet(width=settings.width, blocks=settings.blocks)


def parameter_count(network: nn.Module) -> int:
    """Number of trainable values."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)

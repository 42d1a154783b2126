"""The two-stage 3-D channel-attention network of ZS-DeconvNet.

Qiao, Zeng et al., Nat. Commun. 2024, Methods; after Zhang et al., *Image super-resolution using
very deep residual channel attention networks*, ECCV 2018. Two groups of two attention blocks per
stage, 64 channels, LeakyReLU 0.2: 2,003,490 parameters. Written from the published description;
borders are replicated here instead of filled with zeros.
"""

from __future__ import annotations

import torch
from torch import nn

from zsdeconv.models.compact import zero_bias
from zsdeconv.models.compact3d import conv3d

Tensor = torch.Tensor
_SLOPE = 0.2


def _conv(inputs: int, outputs: int) -> nn.Conv3d:
    conv = conv3d(inputs, outputs, (3, 3, 3))
    nn.init.xavier_uniform_(conv.weight)
    zero_bias(conv)
    return conv


class AttentionBlock(nn.Module):
    """Two convolutions whose channels are weighted by their own means over the volume."""

    def __init__(self, width: int, squeeze: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _conv(width, width), nn.LeakyReLU(_SLOPE), _conv(width, width), nn.LeakyReLU(_SLOPE)
        )
        self.attention = nn.Sequential(
            nn.AdaptiveAvgPool3d(1),
            nn.Conv3d(width, width // squeeze, 1),
            nn.ReLU(),
            nn.Conv3d(width // squeeze, width, 1),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Tensor (B, width, Z, Y, X) → the same shape."""
        made: Tensor = self.body(x)
        weighted: Tensor = made * self.attention(made)
        return x + weighted


class _Stage(nn.Module):
    """Head, attention blocks under one long skip, tail; 1 channel in, 1 out."""

    def __init__(self, width: int, blocks: int, squeeze: int) -> None:
        super().__init__()
        self.head = _conv(1, width)
        self.blocks = nn.Sequential(*(AttentionBlock(width, squeeze) for _ in range(blocks)))
        self.last = nn.Sequential(_conv(width, width), nn.LeakyReLU(_SLOPE))
        self.tail = nn.Sequential(_conv(width, 1), nn.LeakyReLU(_SLOPE))

    def forward(self, x: Tensor) -> Tensor:
        x = self.head(x)
        made: Tensor = self.tail(self.last(x + self.blocks(x)))
        return made


class PaperRcan3D(nn.Module):
    """Denoising stage, then deconvolving stage on its (not detached) output.

    Parameters
    ----------
    width, blocks, squeeze
        Channels, attention blocks per stage and reduction inside the attention; the defaults are
        the paper's.
    """

    multiple = (1, 1, 1)
    upsample = False

    def __init__(self, width: int = 64, blocks: int = 4, squeeze: int = 16) -> None:
        super().__init__()
        self.first, self.second = _Stage(width, blocks, squeeze), _Stage(width, blocks, squeeze)
        reach = 2 * (3 + 2 * blocks)
        self.margin = (reach, reach, reach)
        """Reach of the convolutions; the attention sees the whole tile."""

    def forward(self, x: Tensor, start: Tensor) -> tuple[Tensor, Tensor]:
        """Scaled noisy volume (B, 1, Z, Y, X) → denoised and object; the start is not used."""
        denoised = self.first(x)
        return denoised, self.second(denoised)

"""A two-stage network with Fourier channel attention.

Qiao et al., *Evaluation and development of deep neural networks for image super-resolution in
optical microscopy*, Nat. Methods 18, 194 (2021): channels are weighted by what their power
spectra hold. Four groups of four blocks, 64 channels as published; here without the final
upsampling, once for each stage, with replicated borders.
"""

from __future__ import annotations

import torch
from torch import nn

Tensor = torch.Tensor
_POWER = 0.8
"""Compression of the spectra's range, as published."""


def _conv(inputs: int, outputs: int, size: int = 3) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, size, padding=size // 2, padding_mode="replicate")


class FourierAttentionBlock(nn.Module):
    """Two convolutions whose channels are weighted by their compressed amplitude spectra."""

    def __init__(self, width: int, squeeze: int = 16) -> None:
        super().__init__()
        self.body = nn.Sequential(_conv(width, width), nn.GELU(), _conv(width, width), nn.GELU())
        self.spectrum = nn.Sequential(_conv(width, width), nn.ReLU())
        small = max(1, width // squeeze)
        self.attention = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(width, small, 1),
            nn.ReLU(),
            nn.Conv2d(small, width, 1),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Tensor (B, width, Y, X) → the same shape."""
        made: Tensor = self.body(x)
        power = torch.abs(torch.fft.fft2(made.float(), norm="ortho")) + 1e-8
        seen = self.spectrum(torch.fft.fftshift(power**_POWER, dim=(-2, -1)).to(made.dtype))
        weighted: Tensor = made * self.attention(seen)
        return x + weighted


class _Stage(nn.Module):
    def __init__(self, width: int, groups: int, blocks: int) -> None:
        super().__init__()
        self.head = nn.Sequential(_conv(1, width), nn.GELU())
        self.groups = nn.ModuleList(
            nn.Sequential(*(FourierAttentionBlock(width) for _ in range(blocks)))
            for _ in range(groups)
        )
        self.last = nn.Sequential(_conv(width, 2 * width), nn.GELU())
        self.tail = _conv(2 * width, 1)
        nn.init.zeros_(self.tail.weight)
        assert self.tail.bias is not None
        nn.init.zeros_(self.tail.bias)

    def forward(self, x: Tensor) -> Tensor:
        features = self.head(x)
        for group in self.groups:
            features = features + group(features)
        made: Tensor = self.tail(self.last(features))
        return x + made


class FourierAttentionNet(nn.Module):
    """DFCAN twice: denoise, then deconvolve the denoised picture.

    Parameters
    ----------
    width, groups, blocks
        Channels, residual groups and attention blocks per group; the defaults are the paper's.
    """

    multiple = 1
    margin = 70
    """Reach of the convolutions of both stages; the attention sees the whole tile."""
    upsample = False

    def __init__(self, width: int = 64, groups: int = 4, blocks: int = 4) -> None:
        super().__init__()
        self.first, self.second = (_Stage(width, groups, blocks) for _ in range(2))

    def forward(self, x: Tensor, start: Tensor) -> tuple[Tensor, Tensor]:
        """Scaled noisy picture (B, 1, Y, X) → denoised and object ≥ 0; the start is not used."""
        denoised = self.first(x)
        return denoised, torch.relu(self.second(denoised))

"""The two-stage U-Net of ZS-DeconvNet (Qiao, Zeng et al., Nat. Commun. 2024, Fig. 1 and Methods).

Two U-Nets in series, 3 × 3 convolutions with bias and ReLU, no normalisation layers:
13,109,010 parameters, with or without the final 2× upsampling. Written from the published
description; borders are replicated here instead of filled with zeros.
"""

from __future__ import annotations

import torch
from torch import nn

Tensor = torch.Tensor
_WIDTHS = (32, 64, 128, 256)


def _conv(inputs: int, outputs: int) -> nn.Sequential:
    conv = nn.Conv2d(inputs, outputs, 3, padding=1, padding_mode="replicate")
    nn.init.xavier_uniform_(conv.weight)
    assert conv.bias is not None
    nn.init.zeros_(conv.bias)
    return nn.Sequential(conv, nn.ReLU())


class _Unet(nn.Module):
    """Four levels of three convolutions, 512-channel bottom; 1 channel in, 16 out."""

    def __init__(self) -> None:
        super().__init__()
        before = (1, *_WIDTHS[:-1])
        self.encode = nn.ModuleList(
            nn.Sequential(_conv(b, w), _conv(w, w), _conv(w, w))
            for b, w in zip(before, _WIDTHS, strict=True)
        )
        self.bottom = nn.Sequential(_conv(256, 512), _conv(512, 256))
        self.decode = nn.ModuleList(
            nn.Sequential(_conv(2 * w, w), _conv(w, w // 2), _conv(w // 2, w // 2))
            for w in reversed(_WIDTHS)
        )
        self.pool = nn.MaxPool2d(2)
        self.up = nn.Upsample(scale_factor=2, mode="nearest")

    def forward(self, x: Tensor) -> Tensor:
        skips = []
        for level in self.encode:
            x = level(x)
            skips.append(x)
            x = self.pool(x)
        x = self.bottom(x)
        for level, skip in zip(self.decode, reversed(skips), strict=True):
            x = level(torch.cat((self.up(x), skip), dim=1))
        return x


class PaperUnet(nn.Module):
    """Denoising U-Net, then deconvolving U-Net on its (not detached) output.

    Parameters
    ----------
    upsample
        The object is made on a grid twice as fine as the input.
    """

    multiple = 16
    margin = 32

    def __init__(self, upsample: bool = False) -> None:
        super().__init__()
        self.upsample = upsample
        self.first, self.second = _Unet(), _Unet()
        self.head = _conv(16, 1)
        self.tail = nn.Sequential(_conv(16, 128), _conv(128, 128), _conv(128, 1))
        self.up = nn.Upsample(scale_factor=2, mode="nearest")

    def forward(self, x: Tensor, start: Tensor) -> tuple[Tensor, Tensor]:
        """Scaled noisy image (B, 1, Y, X) → denoised, and object (2× finer with `upsample`).

        The start is not used.
        """
        denoised = self.head(self.first(x))
        features = self.second(denoised)
        if self.upsample:
            features = self.up(features)
        return denoised, self.tail(features)

"""The two-stage U-Net of ZS-DeconvNet (Qiao, Zeng et al., Nat. Commun. 2024, Fig. 1 and Methods).

Two U-Nets in series, 3 × 3 convolutions with bias and ReLU, no normalisation layers:
13,109,010 parameters, with or without the final 2× upsampling. Written from the published
description; borders are replicated here instead of filled with zeros.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

Tensor = torch.Tensor
WIDTHS = (32, 64, 128, 256)


def _conv(inputs: int, outputs: int) -> nn.Sequential:
    conv = nn.Conv2d(inputs, outputs, 3, padding=1, padding_mode="replicate")
    nn.init.xavier_uniform_(conv.weight)
    assert conv.bias is not None
    nn.init.zeros_(conv.bias)
    return nn.Sequential(conv, nn.ReLU())


class UnetStage(nn.Module):
    """Levels of three convolutions, twice the channels each; 1 channel in, widths[0]/2 out.

    Parameters
    ----------
    conv
        Makes a convolution that keeps the shape, with its activation.
    widths
        Channels of the levels.
    pool, up
        Between the levels.
    """

    def __init__(
        self,
        conv: Callable[[int, int], nn.Module],
        widths: tuple[int, ...],
        pool: nn.Module,
        up: nn.Module,
    ) -> None:
        super().__init__()
        before, top = (1, *widths[:-1]), widths[-1]
        self.encode = nn.ModuleList(
            nn.Sequential(conv(b, w), conv(w, w), conv(w, w))
            for b, w in zip(before, widths, strict=True)
        )
        self.bottom = nn.Sequential(conv(top, 2 * top), conv(2 * top, top))
        self.decode = nn.ModuleList(
            nn.Sequential(conv(2 * w, w), conv(w, w // 2), conv(w // 2, w // 2))
            for w in reversed(widths)
        )
        self.pool, self.up = pool, up

    def forward(self, x: Tensor) -> Tensor:
        """Tensor (B, 1, [Z,] Y, X) → (B, widths[0]/2, [Z,] Y, X)."""
        skips = []
        for level in self.encode:
            x = level(x)
            skips.append(x)
            x = self.pool(x)
        x = self.bottom(x)
        for level, skip in zip(self.decode, reversed(skips), strict=True):
            x = level(torch.cat((self.up(x), skip), dim=1))
        return x


def _stage() -> UnetStage:
    return UnetStage(_conv, WIDTHS, nn.MaxPool2d(2), nn.Upsample(scale_factor=2, mode="nearest"))


class PaperUnet(nn.Module):
    """Denoising U-Net, then deconvolving U-Net on its (not detached) output.

    Parameters
    ----------
    upsample
        The object is made on a grid twice as fine as the input.
    """

    multiple = 2 ** len(WIDTHS)
    margin = 16 * multiple
    """Pixels at a cut border that can see the cut: the reach of both stages."""

    def __init__(self, upsample: bool = False) -> None:
        super().__init__()
        self.upsample = upsample
        self.first, self.second = _stage(), _stage()
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

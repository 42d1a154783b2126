"""The two-stage 3-D U-Net that ZS-DeconvNet offers beside its RCAN.

Qiao, Zeng et al., Nat. Commun. 2024, Methods: the planar U-Net with 3 × 3 × 3 convolutions, pooled
in the plane only, 38,952,562 parameters. Written from the published description; borders are
replicated here instead of filled with zeros.
"""

from __future__ import annotations

import torch
from torch import nn

from zsdeconv.models.compact3d import conv3d, zero_bias

Tensor = torch.Tensor
_WIDTHS = (32, 64, 128, 256)


def _conv(inputs: int, outputs: int) -> nn.Sequential:
    conv = conv3d(inputs, outputs, (3, 3, 3))
    nn.init.xavier_uniform_(conv.weight)
    zero_bias(conv)
    return nn.Sequential(conv, nn.ReLU())


class _Unet(nn.Module):
    """Levels of three convolutions, twice the channels each; 1 channel in, widths[0]/2 out."""

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        before, top = (1, *widths[:-1]), widths[-1]
        self.encode = nn.ModuleList(
            nn.Sequential(_conv(b, w), _conv(w, w), _conv(w, w))
            for b, w in zip(before, widths, strict=True)
        )
        self.bottom = nn.Sequential(_conv(top, 2 * top), _conv(2 * top, top))
        self.decode = nn.ModuleList(
            nn.Sequential(_conv(2 * w, w), _conv(w, w // 2), _conv(w // 2, w // 2))
            for w in reversed(widths)
        )
        self.pool = nn.MaxPool3d((1, 2, 2))
        self.up = nn.Upsample(scale_factor=(1, 2, 2), mode="nearest")

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


class PaperUnet3D(nn.Module):
    """Denoising U-Net, then deconvolving U-Net on its (not detached) output.

    Parameters
    ----------
    widths
        Channels of the levels; the default is the paper's.
    """

    upsample = False

    def __init__(self, widths: tuple[int, ...] = _WIDTHS) -> None:
        super().__init__()
        self.first, self.second = _Unet(widths), _Unet(widths)
        out = widths[0] // 2
        self.head = _conv(out, 1)
        self.tail = nn.Sequential(_conv(out, 2 * widths[0]), _conv(2 * widths[0], 2 * widths[0]),
                                  _conv(2 * widths[0], 1))  # fmt: skip
        unit = 2 ** len(widths)
        self.multiple = (1, unit, unit)
        along_z = 2 * (6 * len(widths) + 2) + 4
        lateral = 16 * unit
        self.margin = (along_z, lateral, lateral)

    def forward(self, x: Tensor, start: Tensor) -> tuple[Tensor, Tensor]:
        """Scaled noisy volume (B, 1, Z, Y, X) → denoised and object; the start is not used."""
        denoised = self.head(self.first(x))
        return denoised, self.tail(self.second(denoised))

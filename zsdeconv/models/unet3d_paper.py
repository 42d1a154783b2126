"""The two-stage 3-D U-Net that ZS-DeconvNet offers beside its RCAN.

Qiao, Zeng et al., Nat. Commun. 2024, Methods: the planar U-Net with 3 × 3 × 3 convolutions, pooled
in the plane only, 38,952,562 parameters. Written from the published description; borders are
replicated here instead of filled with zeros.
"""

from __future__ import annotations

import torch
from torch import nn

from zsdeconv.models.compact import zero_bias
from zsdeconv.models.compact3d import conv3d
from zsdeconv.models.unet_paper import WIDTHS, UnetStage

Tensor = torch.Tensor


def _conv(inputs: int, outputs: int) -> nn.Sequential:
    conv = conv3d(inputs, outputs, (3, 3, 3))
    nn.init.xavier_uniform_(conv.weight)
    zero_bias(conv)
    return nn.Sequential(conv, nn.ReLU())


def _stage(widths: tuple[int, ...]) -> UnetStage:
    up = nn.Upsample(scale_factor=(1, 2, 2), mode="nearest")
    return UnetStage(_conv, widths, nn.MaxPool3d((1, 2, 2)), up)


class PaperUnet3D(nn.Module):
    """Denoising U-Net, then deconvolving U-Net on its (not detached) output.

    Parameters
    ----------
    widths
        Channels of the levels; the default is the paper's.
    """

    upsample = False

    def __init__(self, widths: tuple[int, ...] = WIDTHS) -> None:
        super().__init__()
        self.first, self.second = _stage(widths), _stage(widths)
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

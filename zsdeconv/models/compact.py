"""The default network: two small U-shaped stages on space-to-depth tensors.

The super-resolution grid is oversampled by about 1.5, so the first step folds 2 × 2 pixels into
channels: no information is lost, and every convolution costs a quarter.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

Tensor = torch.Tensor
Convolution = nn.Conv2d | nn.Conv3d

_GATE_BIAS = -2.0


class ResidualBlock(nn.Module):
    """``x + second(gelu(first(x)))`` with two convolutions that keep the shape; starts as x."""

    def __init__(self, first: Convolution, second: Convolution) -> None:
        super().__init__()
        self.first, self.second = first, second
        self.act = nn.GELU()
        nn.init.zeros_(self.second.weight)
        zero_bias(self.second)

    def forward(self, x: Tensor) -> Tensor:
        """Tensor (B, width, [Z,] Y, X) → the same shape."""
        correction: Tensor = self.second(self.act(self.first(x)))
        return x + correction


class FoldedStage(nn.Module):
    """How a stage runs: fold, three resolutions of residual blocks, unfold."""

    head: nn.Module
    down: nn.ModuleList
    up: nn.ModuleList
    encode: nn.ModuleList
    decode: nn.ModuleList
    tail: nn.Module
    fold: Callable[[Tensor], Tensor]
    unfold: Callable[[Tensor], Tensor]

    def forward(self, x: Tensor) -> Tensor:
        """Tensor (B, inputs, [Z,] Y, X), Y and X multiples of 8 → (B, outputs, [Z,] Y, X)."""
        x = self.head(self.fold(x))
        skips = []
        for level in range(2):
            x = self.encode[level](x)
            skips.append(x)
            x = self.down[level](x)
        x = self.encode[2](x)
        for level in (1, 0):
            x = self.decode[level](self.up[level](x) + skips[level])
        return self.unfold(self.tail(x))


class FoldedUnet(FoldedStage):
    """One stage of planes: fold, three resolutions of residual blocks, unfold.

    Parameters
    ----------
    inputs, outputs
        Channels of the image before folding.
    width
        Channels at the folded resolution; the coarser levels have 1.5 and 2 times as many.
    blocks
        Residual blocks per level and side.
    """

    def __init__(self, inputs: int, outputs: int, width: int, blocks: int) -> None:
        super().__init__()
        widths = (width, width * 3 // 2, width * 2)
        self.head = _conv(4 * inputs, width)
        self.down = nn.ModuleList(
            nn.Conv2d(widths[i], widths[i + 1], 2, stride=2) for i in range(2)
        )
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(widths[i + 1], widths[i], 2, stride=2) for i in range(2)
        )
        self.encode = nn.ModuleList(_chain(w, blocks) for w in widths)
        self.decode = nn.ModuleList(_chain(w, blocks) for w in widths[:2])
        self.tail = _conv(width, 4 * outputs)
        nn.init.zeros_(self.tail.weight)
        zero_bias(self.tail)
        self.fold = nn.PixelUnshuffle(2)
        self.unfold = nn.PixelShuffle(2)


class CompactStages(nn.Module):
    """How the two stages run; see :class:`CompactNet`."""

    denoise: nn.Module
    deconvolve: nn.Module
    mean: nn.Module
    epsilon: float

    def forward(self, x: Tensor, start: Tensor) -> tuple[Tensor, Tensor]:
        """Noisy picture and start (B, 1, [Z,] Y, X) → denoised and object, of the same shape."""
        denoised = self.mean(x) + self.denoise(x)
        made = self.deconvolve(torch.cat((x, denoised, start), dim=1))
        correction, gate = made[:, :1], torch.sigmoid(made[:, 1:] + _GATE_BIAS)
        squared = self.epsilon**2
        u = start - squared / torch.clamp(start, min=0.05 * self.epsilon)
        u = u + gate * (denoised - u) + correction
        return denoised, 0.5 * (u + torch.sqrt(u * u + 4.0 * squared))


class CompactNet(CompactStages):
    """Denoise, then deconvolve; both outputs in the scaled units of the input.

    The denoised image is the input's local mean plus a learned correction. The object is the
    classical start, drawn towards the denoised image by a learned gate, plus a learned
    correction, bent so that it is not negative (as the light above the camera's offset cannot
    be): ``f = (u + √(u² + 4ε²))/2``. Corrections start at zero and the gate nearly closed:
    before training, the object is (all but) the start.

    Parameters
    ----------
    width, blocks
        See :class:`FoldedUnet`.
    epsilon
        Width of the bend, relative to the intensity scale.
    """

    multiple = 8
    """Image sizes must be multiples of this."""
    upsample = False

    def __init__(self, width: int = 32, blocks: int = 1, epsilon: float = 0.02) -> None:
        super().__init__()
        self.denoise = FoldedUnet(1, 1, width, blocks)
        self.deconvolve = FoldedUnet(3, 2, width, blocks)
        self.mean = nn.AvgPool2d(5, stride=1, padding=2, count_include_pad=False)
        self.epsilon = epsilon
        self.margin = 24 + 40 * 2 * blocks
        """Pixels at a cut border that can see the cut: the reach of both stages."""


def _conv(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1, padding_mode="replicate")


def _chain(width: int, blocks: int) -> nn.Sequential:
    return nn.Sequential(
        *(ResidualBlock(_conv(width, width), _conv(width, width)) for _ in range(blocks))
    )


def zero_bias(conv: Convolution) -> None:
    """Set the bias to zero."""
    assert conv.bias is not None
    nn.init.zeros_(conv.bias)

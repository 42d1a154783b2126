"""The default network: two small U-shaped stages on space-to-depth tensors.

The super-resolution grid is oversampled by about 1.5, so the first step folds 2 × 2 pixels into
channels: no information is lost, and every convolution costs a quarter.
"""

from __future__ import annotations

import torch
from torch import nn

Tensor = torch.Tensor


_GATE_BIAS = -2.0


class ResidualBlock(nn.Module):
    """``x + conv(gelu(conv(x)))`` with replicated borders; starts as the identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1, padding_mode="replicate")
        self.second = nn.Conv2d(width, width, 3, padding=1, padding_mode="replicate")
        self.act = nn.GELU()
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(_bias(self.second))

    def forward(self, x: Tensor) -> Tensor:
        """Tensor (B, width, Y, X) → the same shape."""
        correction: Tensor = self.second(self.act(self.first(x)))
        return x + correction


class FoldedUnet(nn.Module):
    """One stage: fold, three resolutions of residual blocks, unfold.

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
        self.head = nn.Conv2d(4 * inputs, widths[0], 3, padding=1, padding_mode="replicate")
        self.down = nn.ModuleList(
            nn.Conv2d(widths[i], widths[i + 1], 2, stride=2) for i in range(2)
        )
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(widths[i + 1], widths[i], 2, stride=2) for i in range(2)
        )
        self.encode = nn.ModuleList(_chain(w, blocks) for w in widths)
        self.decode = nn.ModuleList(_chain(w, blocks) for w in widths[:2])
        self.tail = nn.Conv2d(widths[0], 4 * outputs, 3, padding=1, padding_mode="replicate")
        nn.init.zeros_(self.tail.weight)
        nn.init.zeros_(_bias(self.tail))
        self.fold = nn.PixelUnshuffle(2)
        self.unfold = nn.PixelShuffle(2)

    def forward(self, x: Tensor) -> Tensor:
        """Tensor (B, inputs, Y, X), Y and X multiples of 8 → (B, outputs, Y, X)."""
        x = self.head(self.fold(x))
        skips = []
        for level in range(2):
            x = self.encode[level](x)
            skips.append(x)
            x = self.down[level](x)
        x = self.encode[2](x)
        for level in (1, 0):
            x = self.decode[level](self.up[level](x) + skips[level])
        image: Tensor = self.unfold(self.tail(x))
        return image


class CompactNet(nn.Module):
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
    margin = 32
    """Pixels at a cut border that a tile should discard."""
    upsample = False

    def __init__(self, width: int = 32, blocks: int = 1, epsilon: float = 0.02) -> None:
        super().__init__()
        self.denoise = FoldedUnet(1, 1, width, blocks)
        self.deconvolve = FoldedUnet(3, 2, width, blocks)
        self.mean = nn.AvgPool2d(5, stride=1, padding=2, count_include_pad=False)
        self.epsilon = epsilon

    def forward(self, x: Tensor, start: Tensor) -> tuple[Tensor, Tensor]:
        """Noisy image and start (B, 1, Y, X) → denoised and object, each (B, 1, Y, X)."""
        denoised = self.mean(x) + self.denoise(x)
        made = self.deconvolve(torch.cat((x, denoised, start), dim=1))
        correction, gate = made[:, :1], torch.sigmoid(made[:, 1:] + _GATE_BIAS)
        squared = self.epsilon**2
        u = start - squared / torch.clamp(start, min=0.05 * self.epsilon)
        u = u + gate * (denoised - u) + correction
        return denoised, 0.5 * (u + torch.sqrt(u * u + 4.0 * squared))


def _chain(width: int, blocks: int) -> nn.Sequential:
    return nn.Sequential(*(ResidualBlock(width) for _ in range(blocks)))


def _bias(conv: nn.Conv2d) -> Tensor:
    assert conv.bias is not None
    return conv.bias

"""The default network of volumes: two small stages, folded and pooled laterally only.

Few planes are what a volume usually has, so z is neither folded nor pooled. A 3 × 3 × 3
convolution is replaced by one in the plane and one along z, which costs 12/27 of it
(and 0.4 of its time per step).
"""

from __future__ import annotations

import torch
from torch import nn

from zsdeconv.models.compact import CompactStages, FoldedStage, ResidualBlock, zero_bias

Tensor = torch.Tensor


class FoldedUnet3D(FoldedStage):
    """One stage: fold 2 × 2 in the plane, three lateral resolutions, unfold.

    Parameters
    ----------
    inputs, outputs
        Channels of the volume before folding.
    width
        Channels at the folded resolution; the coarser levels have 1.5 and 2 times as many.
    blocks
        Residual blocks per level and side.
    factorised
        Whether blocks convolve in the plane and along z in turn.
    """

    def __init__(
        self, inputs: int, outputs: int, width: int, blocks: int, factorised: bool
    ) -> None:
        super().__init__()
        widths = (width, width * 3 // 2, width * 2)
        self.head = conv3d(4 * inputs, width, (3, 3, 3))
        self.down = nn.ModuleList(
            nn.Conv3d(widths[i], widths[i + 1], (1, 2, 2), stride=(1, 2, 2)) for i in range(2)
        )
        self.up = nn.ModuleList(
            nn.ConvTranspose3d(widths[i + 1], widths[i], (1, 2, 2), stride=(1, 2, 2))
            for i in range(2)
        )

        def chain(channels: int) -> nn.Sequential:
            return nn.Sequential(*(_block(channels, factorised) for _ in range(blocks)))

        self.encode = nn.ModuleList(chain(w) for w in widths)
        self.decode = nn.ModuleList(chain(w) for w in widths[:2])
        self.tail = conv3d(width, 4 * outputs, (3, 3, 3))
        nn.init.zeros_(self.tail.weight)
        zero_bias(self.tail)
        self.fold, self.unfold = folded, unfolded


class CompactNet3D(CompactStages):
    """Denoise, then deconvolve a volume; both outputs in the scaled units of the input.

    As :class:`zsdeconv.models.compact.CompactNet`: corrections to the local mean and to the
    classical start, which both begin at zero; the object is bent so that it is not negative.

    Parameters
    ----------
    width, blocks, factorised
        See :class:`FoldedUnet3D`.
    epsilon
        Width of the bend, relative to the intensity scale.
    """

    multiple = (1, 8, 8)
    """Sizes along z, y, x must be multiples of these."""
    upsample = False

    def __init__(
        self, width: int = 24, blocks: int = 1, factorised: bool = True, epsilon: float = 0.02
    ) -> None:
        super().__init__()
        self.denoise = FoldedUnet3D(1, 1, width, blocks, factorised)
        self.deconvolve = FoldedUnet3D(3, 2, width, blocks, factorised)
        self.mean = nn.AvgPool3d(3, stride=1, padding=1, count_include_pad=False)
        self.epsilon = epsilon
        convolutions = blocks * (1 if factorised else 2)  # of a level, side and axis
        along_z, lateral = 2 * (3 + 5 * convolutions), 24 + 40 * convolutions
        self.margin = (along_z, lateral, lateral)
        """Voxels at a cut border that can see the cut: the reach of both stages."""


def _block(width: int, factorised: bool) -> ResidualBlock:
    """``x + conv_z(gelu(conv_yx(x)))``, or two full convolutions."""
    first, second = ((1, 3, 3), (3, 1, 1)) if factorised else ((3, 3, 3), (3, 3, 3))
    return ResidualBlock(conv3d(width, width, first), conv3d(width, width, second))


def conv3d(inputs: int, outputs: int, size: tuple[int, int, int]) -> nn.Conv3d:
    """A convolution that keeps the shape; borders are replicated."""
    z, y, x = (n // 2 for n in size)
    return nn.Conv3d(inputs, outputs, size, padding=(z, y, x), padding_mode="replicate")


def folded(x: Tensor) -> Tensor:
    """(B, C, Z, 2Y, 2X) → (B, 4C, Z, Y, X): 2 × 2 pixels become channels."""
    b, c, z, y, x_ = x.shape
    parts = x.reshape(b, c, z, y // 2, 2, x_ // 2, 2).permute(0, 1, 4, 6, 2, 3, 5)
    return parts.reshape(b, 4 * c, z, y // 2, x_ // 2)


def unfolded(x: Tensor) -> Tensor:
    """Inverse of :func:`folded`."""
    b, c, z, y, x_ = x.shape
    parts = x.reshape(b, c // 4, 2, 2, z, y, x_).permute(0, 1, 4, 5, 2, 6, 3)
    return parts.reshape(b, c // 4, z, 2 * y, 2 * x_)

"""A network shaped like one Richardson–Lucy update, for planes and volumes.

Li et al., *Incorporating the image formation process into deep learning improves network
performance*, Nat. Methods 19, 1427 (2022). Each update predicts the picture from the present
features (forward projection), divides the picture by the prediction, projects the ratio back and
multiplies: once at half the lateral resolution, once at full, then both are merged. Written from
that description; the layer widths are ours, so this is their design, not their network.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

Tensor = torch.Tensor
_SMALLEST = 1e-2


class _Update(nn.Module):
    """One update: ``estimate = image · B(image / F(image))`` with F, B learned and positive."""

    def __init__(self, conv: type[nn.Conv2d | nn.Conv3d], inputs: int, width: int) -> None:
        super().__init__()
        self.head = _layer(conv, inputs, width)
        self.forward_projection = nn.ModuleList(
            (_layer(conv, width, width), _layer(conv, 2 * width, width))
        )
        self.backward_projection = nn.ModuleList(
            (_layer(conv, width, width), _layer(conv, 2 * width, width))
        )
        self.tail = _layer(conv, width, 1)

    def _project(self, layers: nn.ModuleList, x: Tensor) -> Tensor:
        """Two convolutions with a dense connection; positive."""
        first = functional.gelu(layers[0](x))
        return functional.softplus(layers[1](torch.cat((x, first), dim=1)))

    def forward(self, image: Tensor, inputs: Tensor) -> Tensor:
        predicted = self._project(self.forward_projection, functional.gelu(self.head(inputs)))
        ratio = functional.relu(image) / (predicted + _SMALLEST)
        made = self._project(self.backward_projection, ratio)
        estimate: Tensor = functional.relu(image) * functional.softplus(self.tail(made))
        return estimate


def _layer(conv: type[nn.Conv2d | nn.Conv3d], inputs: int, outputs: int) -> nn.Conv2d | nn.Conv3d:
    return conv(inputs, outputs, 3, padding=1, padding_mode="replicate")


class _Stage(nn.Module):
    """Coarse update, fine update that sees it, merging convolutions."""

    def __init__(self, dims: int, width: int) -> None:
        super().__init__()
        conv = nn.Conv2d if dims == 2 else nn.Conv3d
        self.pool = nn.AvgPool2d(2) if dims == 2 else nn.AvgPool3d((1, 2, 2))
        factor = (2.0, 2.0) if dims == 2 else (1.0, 2.0, 2.0)
        self.up = nn.Upsample(scale_factor=factor, mode="nearest")
        self.coarse, self.fine = _Update(conv, 1, width), _Update(conv, 2, width)
        self.merge = _layer(conv, 3, width)
        self.tail = _layer(conv, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        small = self.pool(x)
        coarse = self.up(self.coarse(small, small))
        fine = self.fine(x, torch.cat((x, coarse), dim=1))
        merged = functional.gelu(self.merge(torch.cat((x, coarse, fine), dim=1)))
        # softplus with an offset: about the fine estimate before anything is learned
        out: Tensor = functional.softplus(fine + self.tail(merged), beta=20.0)
        return out


class RichardsonLucyNet(nn.Module):
    """Two stages: denoise, then deconvolve the denoised picture; both outputs positive.

    Parameters
    ----------
    dims
        2 for planes, 3 for volumes (pooled in the plane only).
    width
        Channels.
    """

    upsample = False

    def __init__(self, dims: int = 2, width: int = 16) -> None:
        super().__init__()
        self.first, self.second = _Stage(dims, width), _Stage(dims, width)
        self.dims = dims
        # a stage: 6 layers at half resolution, 6 at full, 2 to merge
        self.margin = 40 if dims == 2 else (28, 40, 40)
        self.multiple = 2 if dims == 2 else (1, 2, 2)

    def forward(self, x: Tensor, start: Tensor) -> tuple[Tensor, Tensor]:
        """Scaled noisy picture (B, 1, [Z,] Y, X) → denoised and object; the start is not used."""
        denoised = self.first(x)
        return denoised, self.second(denoised)

"""Where the channels are in a plain sequence of frames: by what the pictures show.

Frames of one channel show the same structures, those of another channel others. Of all distances
at which the channel could change, the right one separates the frames best.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

CLEAR, LEAD = 0.3, 0.2
"""Least share of the frames' variation that channels must explain, and lead over the next."""
_SMALL_PX, _BLUR_PX = 32, 1.5


@dataclass(frozen=True)
class ChannelSplit:
    """Channels of a sequence.

    Attributes
    ----------
    channels : int
    stride : int
        Number of successive frames of one channel.
    explained : float
        Share of the frames' variation between the channels.
    decided : bool
    """

    channels: int
    stride: int
    explained: float
    decided: bool

    def split(self, frames: np.ndarray) -> np.ndarray:
        """(T, n, Y, X) as (T, C, n/C, Y, X), the sequence within each channel kept."""
        times, count, ny, nx = frames.shape
        blocks = frames.reshape(times, -1, self.channels, self.stride, ny, nx)
        return blocks.swapaxes(1, 2).reshape(times, self.channels, count // self.channels, ny, nx)

    def insert(self, axes: tuple[tuple[str, int], ...]) -> str:
        """Letters of `axes` (fastest first, of one channel) with C where the channels change."""
        letters, step = "", 1
        for letter, size in axes:
            if step == self.stride and "C" not in letters:
                letters += "C"
            letters += letter
            step *= size
        return letters if "C" in letters else f"{letters}C"


def find_channels(sequence: np.ndarray, channels: int) -> ChannelSplit:
    """The stride of the channels in a sequence (n, Y, X), n a multiple of `channels`."""
    count = len(sequence)
    step = max(1, min(sequence.shape[-2:]) // _SMALL_PX)
    small = []
    for i in range(count):
        frame = np.asarray(sequence[i], dtype=np.float64)
        ny, nx = (n // step for n in frame.shape)
        binned = frame[: ny * step, : nx * step].reshape(ny, step, nx, step).mean(axis=(1, 3))
        small.append(gaussian_filter(binned, _BLUR_PX).ravel())
    table = np.array(small)
    table -= table.mean(axis=0)
    total = float(np.sum(table**2))
    found = []
    for stride in range(1, count // channels + 1):
        if count % (stride * channels):
            continue
        label = (np.arange(count) // stride) % channels
        means = np.stack([table[label == c].mean(axis=0) for c in range(channels)])
        between = float(np.sum(means**2)) * count / channels
        found.append((between / total if total > 0 else 0.0, stride))
    found.sort(reverse=True)
    lead = found[0][0] - (found[1][0] if len(found) > 1 else 0.0)
    decided = found[0][0] >= CLEAR and lead >= LEAD
    return ChannelSplit(channels, found[0][1], found[0][0], decided)

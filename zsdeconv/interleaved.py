"""Pairs of interleaved planes: every other plane of a volume is judged by the planes between.

The planes z, z+2, … and z+1, z+3, … have independent noise whatever it is: no noise model is
needed. In the published method (Qiao, Zeng et al., Nat. Commun. 2024) the network maps the one half
to the other: it learns at twice the plane distance at which it is then applied, and because the
halves show different planes, a second term has to amend the gap. Here it does neither. The input is
one half *on the full grid*, with the planes between filled by the mean of their neighbours, the
object is on the full grid, and ``P ⊛ object`` is compared with the other half *at its own planes*:
same grid, spacing and PSF in training and use, and nothing is compared with another plane.
The trained network sees both halves, one after the other, and the mean of the two answers has used
all light.

What the data cannot judge is ``P ⊛ object`` at the planes of the input itself. A last term
(:func:`zsdeconv.losses.gap_loss`) may tie it there to what the network says when these planes are
hidden from it: the amendment of the gap, without shifting anything.
"""

from __future__ import annotations

import numpy as np
import torch

from simrecon.errors import InputError
from zsdeconv.measurement import Measurement, Padding
from zsdeconv.parts import Parts, make_parts

MIN_PLANES = 8
"""Fewer planes leave less than four for either half."""


def shown_planes(planes: int, half: int) -> np.ndarray:
    """Mask (Z, 1, 1) of the planes that half 0 or 1 consists of."""
    return np.asarray(np.arange(planes) % 2 == half)[:, None, None]


def filled(volume: np.ndarray, half: int) -> np.ndarray:
    """One half on the full grid: the other planes are the mean of their neighbours.

    Parameters
    ----------
    volume : ndarray, shape (Z, Y, X)
        Its planes of the other half are not used.
    """
    seen = np.asarray(volume[half::2])
    between = np.arange(len(volume))[1 - half :: 2]
    before, after = (between - 1 - half) // 2, (between + 1 - half) // 2
    last = len(seen) - 1
    full = np.empty_like(volume)
    full[half::2] = seen
    full[1 - half :: 2] = 0.5 * (seen[np.clip(before, 0, last)] + seen[np.clip(after, 0, last)])
    # at the two ends of the stack only one neighbour exists: it is counted twice
    ends = (before < 0) | (after > last)
    full[between[ends]] = seen[np.clip(np.where(before < 0, after, before), 0, last)[ends]]
    return full


def make_halves(measurement: Measurement, padding: Padding, device: torch.device) -> Parts:
    """Split, fill and start both halves.

    Raises
    ------
    InputError
        For fewer than `MIN_PLANES` planes.
    """
    planes = measurement.frames_e.shape[-3]
    if planes < MIN_PLANES:
        raise InputError(
            "The volume has too few planes to be split into two halves.",
            expected=f"at least {MIN_PLANES} planes",
            got=str(planes),
            hint="use --pairs recorrupted",
        )
    shown = [shown_planes(planes, half) for half in (0, 1)]
    volume, variance = measurement.image, measurement.variance_e2[0]
    judged = [np.where(s, np.inf, variance) for s in shown]

    def fill(frames: np.ndarray, half: int) -> np.ndarray:
        return filled(frames[0], half)[None]

    return make_parts(measurement, padding, device, shown, fill, [volume, volume], judged)

"""Whether an OTF can tell which way the planes of a stack run.

A stack read backwards is that of a mirrored object through the OTF mirrored in z. Where that is
the same OTF (three beams that meet in focus, no aberrations), every such stack is as good as its
mirror image, and nothing in it tells the direction. An aberrated OTF, or an axial phase of order 1,
fits one way only.
"""

from __future__ import annotations

import numpy as np

from simrecon.model.psf import AnyVolumeOTF, DirectionalVolumeOTF
from simrecon.physics.otf_volume import evaluate_volume_otf

LEAST_ASYMMETRY = 0.05
"""Relative difference of an OTF and its mirror image from which on the direction matters; theory
and the file of ``cudasirecon-3dsim`` have 0, an order 1 that is 0.6 rad out of focus 1.1."""


def axial_asymmetry(otf: AnyVolumeOTF) -> float:
    """``‖H_m(kz) − H_m(−kz)‖ / ‖H_m‖``, the largest of all orders and directions."""
    if isinstance(otf, DirectionalVolumeOTF):
        return max(axial_asymmetry(one) for one in otf.directions)
    angle = np.linspace(0.0, np.pi, 6, endpoint=False)
    kr = np.linspace(0.1, 0.9, 17)[:, None] * otf.cutoff_per_um
    ky, kx = kr * np.sin(angle), kr * np.cos(angle)
    found = []
    for order in range(otf.orders):
        kz = np.linspace(-1.0, 1.0, 41)[:, None, None] * otf.axial_cutoff_per_um[order]
        there = evaluate_volume_otf(otf, order, kz, ky[None], kx[None])
        size = float(np.linalg.norm(there))
        found.append(float(np.linalg.norm(there - there[::-1])) / size if size > 0 else 0.0)
    return max(found)


def z_direction_note(otf: AnyVolumeOTF) -> str:
    """What can be said about the direction of z, in words."""
    asymmetry = axial_asymmetry(otf)
    if asymmetry < LEAST_ASYMMETRY:
        return "direction of z: cannot be known from the pattern, the OTF is the same both ways"
    return (
        f"direction of z: taken as told and not checked; the OTF differs by {100 * asymmetry:.0f} "
        "% from its mirror image, so a stack that runs the other way is reconstructed wrongly"
    )

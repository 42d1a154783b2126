"""Which way the planes of a stack run, where the OTF can tell it.

A stack read backwards is that of a mirrored object through the OTF mirrored in z. Where that is
the same OTF (three beams that meet in focus, no aberrations), every such stack is as good as its
mirror image, and nothing in it tells the direction. With an aberrated OTF, or an axial phase of
order 1, bands explain each other one way only.

What counts is the misfit of all bands (:mod:`.form`). How well a band agrees with what the others
predict, the figure of the search, does not: in a stack of 64² × 10 planes, 1 µm below a cover
glass, 1000 e, it preferred the wrong side by 15 nats and the misfit the right one by 157.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from simrecon.estimate.volume.field import VolumeField
from simrecon.estimate.volume.fit import demodulated, refit
from simrecon.estimate.volume.form import Form
from simrecon.estimate.volume.state import VolumeState
from simrecon.model.psf import AnyVolumeOTF, DirectionalVolumeOTF, VolumeOTF, of_direction
from simrecon.physics.otf_volume import evaluate_volume_otf, mirrored_in_z

LEAST_ASYMMETRY = 0.05
"""Relative difference of an OTF and its mirror image from which on the direction matters; theory
and the file of ``cudasirecon-3dsim`` have 0, an order 1 that is 0.6 rad out of focus 1.1."""
GROUPS, MOST_SAMPLES, REFITS = 16, 1600, 2
CLEAR_SD = 6.0
"""Standard deviations of the misfits' difference from which on a side is preferred. Measured on
stacks of 64² × 8 to 10: 7 to 15 for the right side (asymmetry 0.11 at 1000 e to 0.42 at 100 e), 2
where it is 0.11 at 100 e, 1 to 3 for OTFs of other aberrations."""
EXPLAINED = 0.2
"""Most of the worse side's misfit that the better one may have: with an OTF of other aberrations
both are bad (0.7 to 0.9 of each other), and their difference says nothing about the direction."""


@dataclass(frozen=True)
class SidesOfZ:
    """The OTF as told against its mirror image.

    Attributes
    ----------
    told, mirrored : float
        Misfit beyond its expectation, nats.
    advantage_sd : float
        Difference, mirrored less told, over its standard deviation from groups of frequencies.
    """

    told: float
    mirrored: float
    advantage_sd: float

    @property
    def preferred(self) -> int:
        """1 as told, −1 mirrored, 0 where it cannot be said."""
        better, worse = sorted((self.told, self.mirrored))
        if abs(self.advantage_sd) < CLEAR_SD or better > EXPLAINED * worse:
            return 0
        return 1 if self.advantage_sd > 0 else -1


def sides_of_z(
    frames: np.ndarray,
    variance_e2: np.ndarray,
    field: VolumeField,
    otf: VolumeOTF,
    state: VolumeState,
) -> SidesOfZ:
    """Compare both sides on a direction whose pattern was found.

    Parameters
    ----------
    frames, variance_e2 : ndarray (P, Z, Y, X), float32
    field : VolumeField
    otf : VolumeOTF
        As told.
    state : VolumeState
        The pattern; phases and contrasts are fitted again with either OTF.
    """
    few = field.some(MOST_SAMPLES)
    told, mirrored = (
        _misfits(frames, variance_e2, few, of_direction(one, 0), state)
        for one in (otf, mirrored_in_z(otf))
    )
    more = mirrored - told
    spread = float(np.std(more, ddof=1)) * np.sqrt(more.size)
    advantage = float(more.sum()) / max(spread, 1e-12)
    return SidesOfZ(float(told.sum()), float(mirrored.sum()), advantage)


def _misfits(
    frames: np.ndarray,
    variance_e2: np.ndarray,
    field: VolumeField,
    otf: VolumeOTF,
    start: VolumeState,
) -> np.ndarray:
    """Misfit of groups of lateral frequencies beyond its expectation, nats."""
    rows, kernels = demodulated(frames, variance_e2, field, otf, start)
    state = start
    for _ in range(REFITS):
        form = Form.frozen(rows, kernels, field, state)
        state = refit(form, field, state, start, fit_frequency=False)
    c = rows.coefficients(state)
    found = []
    for first in range(GROUPS):
        own = np.arange(first, field.index.size, GROUPS)
        part = replace(rows, values=np.ascontiguousarray(rows.values[..., own]))
        form = Form.frozen(part, kernels.at(own), field.at(own), state)
        expected = form.noise @ c + form.left
        found.append(float(np.real(np.conj(c) @ (form.matrix @ c - expected))))
    return np.array(found)


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


def z_direction_note(otf: AnyVolumeOTF, sides: SidesOfZ | None = None) -> str:
    """What can be said about the direction of z, in words."""
    asymmetry = axial_asymmetry(otf)
    if asymmetry < LEAST_ASYMMETRY:
        return "direction of z: cannot be known from the pattern, the OTF is the same both ways"
    if sides is None or sides.preferred == 0:
        return (
            f"direction of z: taken as told, the frames do not settle it; the OTF differs by "
            f"{100 * asymmetry:.0f} % from its mirror image, so a stack that runs the other way is "
            "reconstructed wrongly"
        )
    size = abs(sides.advantage_sd)
    if sides.preferred > 0:
        return f"direction of z: as told; the OTF mirrored in z fits worse by {size:.0f} sd"
    return (
        f"direction of z: the OTF mirrored in z fits better by {size:.0f} sd. The planes run the "
        "other way, or the OTF does (its aberration has the other sign): turn one of them"
    )

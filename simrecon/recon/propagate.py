"""Exact propagation of raw noise through the linear reconstruction (physics.md §4).

For one direction the output is ``X = Σ_n Re B_n`` over orders n ≥ 0, and each B_n is a
convolution of demodulated, separated frames with a kernel g_n (which carries the factor 2 of
orders that stand for their conjugate too). With independent raw noise of variance σ²_j,

    E[B_n B_m*](r) = Σ_r' g_n(r-r') g_m*(r-r') Σ_j c_nj c_mj* σ²_j(r') e_n(r') e_m*(r'),

and the same without the conjugates of band m for E[B_n B_m]; ``Var X = Σ Re(E[B_n B_m*] +
E[B_n B_m]) / 2`` over all n, m. Raw samples sit on the SR grid as isolated impulses
(zero-stuffed), so every term is one product in Fourier space and all terms share one inverse
transform.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from simrecon.backend import Array, fftn, namespace
from simrecon.recon.padding import MirrorPadding
from simrecon.recon.shift import BandPart, weighted_sum
from simrecon.recon.support import SupportBlock


@dataclass(frozen=True)
class MomentTerm:
    """One second-moment term of a direction.

    Attributes
    ----------
    first, second : int
        Positions n ≤ m of the two bands within the direction.
    conjugate : bool
        True for E[B_n B_m*], False for E[B_n B_m].
    factor : float
        Its weight in the variance.
    """

    first: int
    second: int
    conjugate: bool
    factor: float


def moment_terms(bands: int) -> Iterator[MomentTerm]:
    """Terms of one direction with `bands` bands, order 0 first.

    Band 0 is real, so its two kinds of moments with any band are conjugates of each other and
    one of them serves with double weight.
    """
    for n in range(bands):
        for m in range(n, bands):
            symmetric = 1.0 if n == m else 2.0
            if n == 0:
                yield MomentTerm(n, m, True, symmetric)
            else:
                yield MomentTerm(n, m, True, 0.5 * symmetric)
                yield MomentTerm(n, m, False, 0.5 * symmetric)


def add_moments(
    total: Array,
    whole: SupportBlock,
    parts: Sequence[BandPart],
    kernels: Sequence[Array],
    carriers: Sequence[Array],
    variance_e2: Array,
    padding: MirrorPadding,
) -> None:
    """Add twice the variance that some frames give to the picture, as a half spectrum.

    Parameters
    ----------
    total : array
        Half spectrum of the padded SR field.
    whole : SupportBlock
        All of its frequencies.
    parts, kernels, carriers
        Bands in these frames, their kernels on the padded SR grid and their demodulations.
    variance_e2 : array, shape (P, Y, X) or (P, Z, Y, X)
    padding : MirrorPadding
        Of the raw field.
    """
    xp = namespace(total)
    axes = len(padding.shape)
    for term in moment_terms(len(parts)):
        first, second = term.first, term.second
        kernel, weights, carrier = kernels[second], parts[second].weights, carriers[second]
        if term.conjugate:
            kernel, weights, carrier = xp.conj(kernel), xp.conj(weights), xp.conj(carrier)
        moment = weighted_sum(parts[first].weights * weights * term.factor, variance_e2)
        source = fftn(padding.extend(moment * (carriers[first] * carrier)), axes)
        whole.add_hermitian(total, fftn(kernels[first] * kernel, axes), source)

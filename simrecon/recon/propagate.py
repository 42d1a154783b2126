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

from collections.abc import Iterator
from dataclasses import dataclass


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

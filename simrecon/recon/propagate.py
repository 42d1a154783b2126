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

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from simrecon.backend import Array, namespace
from simrecon.model.pattern import PatternFit
from simrecon.recon.padding import MirrorPadding
from simrecon.recon.pruned import to_field, to_spectrum, window
from simrecon.recon.shift import BandPart, weighted_sum
from simrecon.recon.support import SupportBlock

KEPT_BYTES = 1e9
"""Filters of the variance are kept for the next call where all of them take no more than this."""
REACH_MARGINS = 4
"""Lateral reach of a volume's kernels in mirror margins, 6.4 µm by default: the variance is too
small by 0.24 % (median; 1 % at most) for an object of white spectrum, whose kernels ring longest;
192² x 10 voxels against no limit. One margin: 2.3 %."""


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


def moment_sources(bands: int) -> list[tuple[MomentTerm, ...]]:
    """Terms of :func:`moment_terms` that share one transform: single ones, and pairs of real ones.

    ``E[|B_n|²]`` has a real kernel K and a real source S, so two of them are the real part of
    ``(K_1 − i K_2) ⊛ (S_1 + i S_2)``.
    """
    real: list[MomentTerm] = []
    other: list[MomentTerm] = []
    for term in moment_terms(bands):
        (real if term.conjugate and term.first == term.second else other).append(term)
    pairs = [tuple(real[i : i + 2]) for i in range(0, len(real), 2)]
    return [*pairs, *((term,) for term in other)]


@dataclass(frozen=True)
class MomentFilter:
    """What turns the source of one or two terms into variance.

    Attributes
    ----------
    terms : tuple of MomentTerm
    block : SupportBlock
        Where `values` are not zero.
    values : Array, complex64
        Spectrum of the kernel product.
    """

    terms: tuple[MomentTerm, ...]
    block: SupportBlock
    values: Array


def moment_blocks(
    blocks: Sequence[SupportBlock],
) -> list[tuple[tuple[MomentTerm, ...], SupportBlock]]:
    """Terms that share a transform, and where the spectrum of their kernel products can lie."""
    found = []
    for terms in moment_sources(len(blocks)):
        own = [blocks[t.first].correlated(blocks[t.second], t.conjugate) for t in terms]
        found.append((terms, own[0].united(own[-1])))
    return found


def moment_filters(
    blocks: Sequence[SupportBlock], filters: Sequence[Array], place: SupportBlock
) -> Iterator[MomentFilter]:
    """Spectra of the kernel products of some frames' bands.

    Parameters
    ----------
    blocks, filters
        Synthesis filters of the bands, order 0 first.
    place : SupportBlock
        Positions at which kernels are taken as not zero.
    """
    kernels = [to_field(block, f, place) for block, f in zip(blocks, filters, strict=True)]
    xp = namespace(kernels[0])
    for terms, block in moment_blocks(blocks):
        total = None
        for factor, term in zip((1.0, -1j), terms, strict=False):
            other = kernels[term.second]
            one = kernels[term.first] * (xp.conj(other) if term.conjugate else other)
            total = one if total is None else total + factor * one
        yield MomentFilter(terms, block, to_spectrum(place, total, block))


def kernel_reach(padding: MirrorPadding, pattern: PatternFit, pixel_um: float) -> tuple[int, ...]:
    """Samples of every axis at which the variance takes kernels to end: in a plane all of them.

    In volumes it is `REACH_MARGINS` lateral margins, and the drift, which displaces kernels.

    Parameters
    ----------
    padding, pixel_um
        Of the SR grid.
    """
    if len(padding.padded) == 2:
        return padding.padded
    drift = [abs(v) for d in pattern.directions for u in d.drift_um for v in u]
    moved = int(np.ceil(max(drift, default=0.0) / pixel_um))
    sizes = zip(padding.margin[1:], padding.padded[1:], strict=True)
    lateral = (REACH_MARGINS * m + moved if m else n for m, n in sizes)
    return (padding.padded[0], *lateral)


class KernelMoments:
    """Filters of the variance, which all calls share; kept where all of them are small enough.

    Parameters
    ----------
    blocks : sequence of sequences of SupportBlock
        Of the synthesis filters of every group of frames.
    half_width : tuple of int
        Distance on every axis of the padded SR grid beyond which kernels are taken as zero.
    """

    def __init__(
        self, blocks: Sequence[Sequence[SupportBlock]], half_width: tuple[int, ...]
    ) -> None:
        self._blocks = blocks
        self._place = window(blocks[0][0].fine, half_width)
        self._made: dict[int, list[MomentFilter]] = {}
        self.keeps = moment_bytes(blocks) <= KEPT_BYTES

    def of(self, number: int, filters: Callable[[], Sequence[Array]]) -> Iterable[MomentFilter]:
        """Those of one group; `filters` are called for where they have to be made."""
        if number in self._made:
            return self._made[number]
        made = moment_filters(self._blocks[number], filters(), self._place)
        if not self.keeps:
            return made
        self._made[number] = list(made)
        return self._made[number]


def moment_bytes(blocks: Sequence[Sequence[SupportBlock]]) -> int:
    """Memory of all filters of the variance."""
    return sum(8 * prod(block.shape) for group in blocks for _, block in moment_blocks(group))


def moment_source(
    terms: Sequence[MomentTerm],
    parts: Sequence[BandPart],
    carriers: Sequence[Array],
    variance_e2: Array,
) -> Array:
    """What a :class:`MomentFilter` acts on, complex64 on the raw grid.

    Parameters
    ----------
    parts, carriers
        Bands in some frames, and their demodulations.
    variance_e2 : array, shape (P, Y, X) or (P, Z, Y, X)
    """
    xp = namespace(variance_e2)
    total = None
    for factor, term in zip((1.0, 1j), terms, strict=False):
        weights, carrier = parts[term.second].weights, carriers[term.second]
        if term.conjugate:
            weights, carrier = xp.conj(weights), xp.conj(carrier)
        weights = parts[term.first].weights * weights * (factor * term.factor)
        one = weighted_sum(weights, variance_e2) * (carriers[term.first] * carrier)
        total = one if total is None else total + one
    return total

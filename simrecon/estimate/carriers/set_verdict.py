"""Is the fit of a set of carriers to be trusted? Per carrier, with the limits of one carrier.

The limits are those of :mod:`simrecon.estimate.acceptance`; how they fare on several carriers is
measured by ``benchmarks/bench_modes.py`` (docs/modes.md).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simrecon.estimate.acceptance import (
    CORRELATION_OK,
    CORRELATION_WEAK,
    NATS_WEAK,
    Evidence,
    Known,
    judge,
)
from simrecon.estimate.carriers.carrier_set import CarrierSet
from simrecon.estimate.carriers.set_fit import SetFit
from simrecon.estimate.carriers.set_search import SetFound
from simrecon.model.pattern import Verdict, worst

MAX_CONTRAST = 2.0
"""Largest contrast of order 1 when higher orders are there (light is never negative)."""
ORDER_NATS_OK, ORDER_NATS_WEAK = 15.0, 8.0
"""Evidence from which an order beside the strongest is ok, and is used at all. Of orders that are
not there (contrast below 0.002) the most was 3.4 nats (15 directions, 1000 and 100 e, 192²).
"""


@dataclass(frozen=True)
class FundamentalVerdict:
    """Verdict on one fundamental and its orders.

    Attributes
    ----------
    verdict : Verdict
    reasons : tuple of str
    confirmed : int
        Orders 1 … `confirmed` are to be used; those above are not in the data.
    """

    verdict: Verdict
    reasons: tuple[str, ...]
    confirmed: int


def judge_fundamental(
    carriers: CarrierSet,
    found: SetFound,
    fit: SetFit,
    deviation: np.ndarray,
    final_nats: np.ndarray,
    fundamental: int,
    known: Known,
    coverage: float,
    cutoff_per_um: float,
    length_um: np.ndarray,
    light_order: int,
) -> FundamentalVerdict:
    """Verdict on a fundamental of a fitted set.

    Parameters
    ----------
    deviation : ndarray (n,)
        Of the parameters.
    final_nats : ndarray (C,)
        Evidence for every carrier at the fitted state.
    light_order : int
        Highest order that the light itself holds: it must pass the objective.
    """
    own = [c for c, (f, _) in enumerate(carriers.carriers) if f == fundamental]
    nats = found.best.evidence.nats
    main = max(own, key=lambda c: nats[c])
    state = fit.state
    sd_ln = deviation[carriers.parameters_of("modulation")]
    spread = deviation[carriers.parameters_of("frequency")].reshape(-1, 2)[fundamental]
    moved = state.frequency_per_um[fundamental] - found.best.state.frequency_per_um[fundamental]
    size = abs(float(state.modulation[main]))
    limit = MAX_CONTRAST if len(own) > 1 else 1.0
    verdict, reasons = judge(
        Evidence(
            nats=float(nats[main]),
            rivalry=found.rivalry,
            settled=False,
            known=known,
            correlation=abs(fit.gram.overlap(main).correlation),
            modulation=size / limit if size > limit else min(size, 1.0),
            modulation_sd=size * float(sd_ln[main]),
            frequency_sd_px=float(np.hypot(*(spread * length_um))),
            coverage=coverage,
            moved_px=float(np.hypot(*(moved * length_um))),
            over_cutoff=light_order
            * float(np.hypot(*state.frequency_per_um[fundamental]))
            / cutoff_per_um,
        )
    )
    verdicts: list[Verdict] = [verdict]
    if found.doubts:
        verdicts.append("weak")
    missing = []
    for c in (c for c in own if c != main):
        correlation = abs(fit.gram.overlap(c).correlation)
        seen = final_nats[c] >= ORDER_NATS_WEAK and correlation >= CORRELATION_WEAK
        if final_nats[c] >= ORDER_NATS_OK and correlation >= CORRELATION_OK:
            continue
        if not seen:
            missing.append(c)
        verdicts.append("weak")
        reasons.append(
            f"order {carriers.carriers[c][1]} is {'doubtful' if seen else 'not in the data'} "
            f"(evidence {final_nats[c]:.1f} nats, ok from {ORDER_NATS_OK:g}; correlation "
            f"{correlation:.2f})"
        )
    if not fit.converged:
        verdicts.append("weak")
        reasons.append(f"the fit was still moving at its end (last step {fit.last_step_px:.1g})")
    confirmed = len(own)
    while confirmed > 1 and own[confirmed - 1] in missing:
        confirmed -= 1
    return FundamentalVerdict(worst(verdicts), (*found.doubts, *reasons), confirmed)


def usable(found: SetFound, known: Known) -> bool:
    """Whether there is enough to start a fit from."""
    return known == "frequency" or float(found.best.evidence.nats.max()) >= NATS_WEAK[known]

"""Numbers and sentences that say whether an enhancement can be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from simrecon.model.pattern import Verdict, worst
from zsdeconv.consistency import Consistency
from zsdeconv.held_out import HeldOut
from zsdeconv.probes import Probes

CHI2_RANGE = (0.9, 1.1)
CHI2_WEAK = (0.8, 1.25)
FLUX_OK, FLUX_WEAK = 0.02, 0.10
BLANK_SIGMAS = 4.0
REMEMBERED_WEAK = 0.2
"""Share of erased structures that may come back: see docs/enhancement.md, "Does it remember?"."""


def judge(
    consistency: Consistency,
    flux_ratio: float,
    held_out: HeldOut | None = None,
    doubts: Sequence[str] = (),
    fitted: float = 0.0,
    probes: Probes | None = None,
) -> dict[str, Verdict]:
    """Gate name → verdict for one enhancement, with ``"overall"``.

    `flux_ratio` is out/in before the object was scaled to the flux of the frames; `doubts` about
    the data themselves make them weak. `fitted` is the share of the raw values that an object
    can follow: one picture has as many values as its object, so that a good χ² lies below 1.
    """
    verdicts = explains(consistency.chi2, flux_ratio, fitted)
    if held_out is not None:
        verdicts["training"] = "weak" if held_out.worse else "ok"
    if probes is not None:
        sure = probes.remembered - 2.0 * probes.remembered_sd > REMEMBERED_WEAK
        verdicts["memory"] = "weak" if sure else "ok"
    if doubts:
        verdicts["data"] = "weak"
    verdicts["overall"] = worst(list(verdicts.values()))
    return verdicts


def explains(chi2: float, flux_ratio: float, fitted: float = 0.0) -> dict[str, Verdict]:
    """Gates that every restored measurement has; arguments as in :func:`judge`."""
    gate: Verdict = "failed"
    if CHI2_RANGE[0] - 0.5 * fitted <= chi2 <= CHI2_RANGE[1]:
        gate = "ok"
    elif CHI2_WEAK[0] - fitted <= chi2 <= CHI2_WEAK[1]:
        gate = "weak"
    off = abs(flux_ratio - 1.0)
    flux: Verdict = "ok" if off <= FLUX_OK else ("weak" if off <= FLUX_WEAK else "failed")
    return {"raw_consistency": gate, "flux": flux}


def contrast(objects: np.ndarray, uncertainty: np.ndarray | None) -> float | None:
    """Spread of the object (99.9th minus 50th percentile) over the median uncertainty."""
    if uncertainty is None:
        return None
    spread = float(np.percentile(objects, 99.9) - np.percentile(objects, 50))
    return spread / max(float(np.median(uncertainty)), 1e-12)


def numbers(
    consistency: Consistency,
    flux_ratio: float,
    objects: np.ndarray,
    uncertainty: np.ndarray | None,
    held_out: HeldOut | None = None,
    probes: Probes | None = None,
) -> dict[str, Any]:
    """JSON-ready figures of merit."""
    return {
        "probes": None if probes is None else asdict(probes),
        "held_out_gain": None if held_out is None else held_out.gain,
        "held_out_gain_sd": None if held_out is None else held_out.gain_sd,
        "chi2": consistency.chi2,
        "chi2_sd": consistency.chi2_sd,
        "chi2_divisor": "number of raw values; fitted degrees of freedom are not subtracted",
        "flux_ratio": flux_ratio,
        "flux_factor_applied": 1.0 / flux_ratio,
        "contrast_over_uncertainty": contrast(objects, uncertainty),
        "object_min_e": float(objects.min()),
        "object_mean_e": float(objects.mean(dtype=np.float64)),
    }


def sentences(
    found: dict[str, Any], verdicts: dict[str, Verdict], reconstruction: Sequence[str] = ()
) -> list[str]:
    """The verdict for people; `reconstruction` are the reasons of the linear picture's gates."""
    chi2 = found["chi2"]
    agrees = {
        "ok": "the result explains every raw frame within its noise",
        "weak": "the result explains the raw frames only roughly: look at the consistency map",
        "failed": "the result does NOT explain the raw frames: do not trust it",
    }[verdicts["raw_consistency"]]
    lines = [
        f"raw consistency: chi2 = {chi2:.3f} ({agrees})",
        f"flux: out/in = {found['flux_ratio']:.4f}; a global factor of "
        f"{found['flux_factor_applied']:.4f} was then applied",
    ]
    if "training" in verdicts:
        lines.append(
            f"training: unseen copies of the frames are predicted with a chi2 lower by "
            f"{found['held_out_gain']:.4f} ± {found['held_out_gain_sd']:.4f} than by the "
            f"classical start"
            + ("" if verdicts["training"] == "ok" else
               ": NOT better, so 'deconvolved' is the classical start; train longer")
        )  # fmt: skip
    if (probes := found["probes"]) is not None and probes["places"]:
        lines.append(
            f"memory: {probes['remembered']:.0%} ± {probes['remembered_sd']:.0%} of erased "
            f"structures come back ({probes['places']} places, beyond the classical start)"
            + ("" if verdicts["memory"] == "ok" else
               ": the network draws what it has learned by heart; train on more data, or shorter")
        )  # fmt: skip
    strength = found["contrast_over_uncertainty"]
    if strength is not None and strength < BLANK_SIGMAS:
        lines.append("nothing stands out from the uncertainty: this field looks blank")
    lines += [f"linear picture: {reason}" for reason in reconstruction]
    lines.append(f"verdict: {verdicts['overall']}")
    return lines

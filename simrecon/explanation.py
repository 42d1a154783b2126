"""Why a gate was not passed: symptoms of one acquisition, and their likely causes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from simrecon.checks import saturation
from simrecon.config import Settings
from simrecon.estimate.order import compare_orders, explain
from simrecon.model.pattern import PatternFit
from simrecon.model.stack import SimStack
from simrecon.preparation import Acquisition, Channel, acquisition
from simrecon.qc.explain import explain as likely_causes
from simrecon.qc.finding import Finding
from simrecon.qc.symptoms import PatternSource, Symptoms, measure


def symptoms_of(
    stack: SimStack,
    settings: Settings,
    channel: Channel,
    pattern: PatternFit,
    image: np.ndarray,
    image_variance: np.ndarray | None,
    numbers: Mapping[str, Any],
    source: PatternSource,
) -> Symptoms:
    """Symptoms of the first time point's middle plane.

    Parameters
    ----------
    image, image_variance : ndarray, shape (qY, qX)
        That plane's picture and variance.
    numbers
        Its entry under "acquisitions" in ``qc.json``.
    source
        Where the pattern is from: what can be advised depends on it.
    """
    data = acquisition(stack, channel, 0, int(stack.data.shape[4]) // 2)
    chosen = settings.reconstruction
    found = measure(
        data.frames_e, data.variance_e2, pattern, channel.otf, stack.pixel_um, image, image_variance
    )
    residual = [p for p in numbers.get("residual_peaks", ()) if p["suspicious"]]
    return replace(
        found,
        pattern_source=source,
        drift_corrected=source != "complete" and settings.estimate.drift == "auto",
        noise_ratio=channel.noise_ratio,
        saturated=saturation(stack.data)[0],
        regularization=chosen.regularization,
        regularization_factor=chosen.regularization_factor,
        residual=tuple((p["direction"], p["order"], p["height_sigmas"]) for p in residual),
    )


def explanation(
    stack: SimStack,
    settings: Settings,
    channels: Sequence[Channel],
    patterns: Sequence[PatternFit],
    pictures: tuple[np.ndarray, np.ndarray | None],
    numbers: Sequence[Mapping[str, Any]],
    source: PatternSource,
) -> list[dict[str, Any]]:
    """Likely causes at the first time point, channel by channel, the strongest first, JSON-ready.

    Parameters
    ----------
    patterns
        One per channel.
    pictures : (ndarray, ndarray or None), shape (T, C, Z, qY, qX)
        Reconstruction and variance.
    numbers
        "acquisitions" of ``qc.json``.
    source
        Where the patterns are from.
    """
    found: list[Finding] = []
    plane = int(stack.data.shape[4]) // 2
    for channel, pattern in zip(channels, patterns, strict=True):
        if pattern.several_carriers:
            continue  # the causes know one carrier per direction
        c = channel.index
        image, variance = (None if p is None else p[0, c, plane] for p in pictures)
        own = next(n for n in numbers if (n["time"], n["channel"]) == (0, c))
        assert image is not None
        symptoms = symptoms_of(stack, settings, channel, pattern, image, variance, own, source)
        causes = likely_causes(symptoms)
        where = [f"channel {c}"] if len(channels) > 1 else []
        found += [replace(f, where=", ".join(p for p in (*where, f.where) if p)) for f in causes]
    return [f.to_dict() for f in found]


def order_hint(data: Acquisition, pixel_um: float) -> list[str]:
    """A sentence when the frames speak for another order than the one they were read in."""
    frames = data.frames_e
    rows = compare_orders(
        frames.reshape(-1, *frames.shape[-2:]), frames.shape[0], frames.shape[1], pixel_um
    )
    if not explain(rows)[1] or rows[0].order == "PA":
        return []
    return [
        f"the frames agree to {100 * rows[0].explained:.0f} % with phases and directions swapped: "
        "the frame order is wrong ('simrecon inspect' names the right one)"
    ]

"""Acquisition orders: which of phase, angle, plane, channel and time varies fastest."""

from __future__ import annotations

from simrecon.errors import UsageError


def parse_order(order: str) -> tuple[str, ...]:
    """Check an acquisition order such as ``PA`` or ``PZA`` (letters fastest first).

    Returns
    -------
    tuple of str
        The letters, fastest-varying first; always contains P and A, and each of P, A, Z, C, T
        at most once.
    """
    letters = tuple(order.upper())
    if len(set(letters)) != len(letters) or not set("PA") <= set(letters) <= set("PAZCT"):
        raise UsageError(
            "Unknown frame order.",
            expected="letters of P, A, Z, C, T, fastest first, with P and A; for example PA or PZA",
            got=order,
            where="--order",
        )
    return letters

"""Kinds of illumination by name: how many frames they have, and what their carriers are."""

from __future__ import annotations

from dataclasses import dataclass

from simrecon.errors import UsageError


@dataclass(frozen=True)
class ModeFacts:
    """What a mode means for the frames of one plane.

    Attributes
    ----------
    directions, phases : int
        Usual entries of the frames along A and P.
    orders : int or None
        Harmonics of every direction's fundamental; None: as many as the phases separate.
    carriers : int
        Directions that share their frames.
    what : str
        A few words for the user.
    least_orders : int or None
        Orders that the light may be made with; None: all.
    """

    directions: int
    phases: int
    orders: int | None
    carriers: int
    what: str
    least_orders: int | None = None

    def orders_of(self, phases: int) -> int:
        """Orders that so many phase steps give."""
        return (phases - 1) // 2 if self.orders is None else self.orders

    def least_phases(self) -> int:
        """Frames that separate the bands of the fewest orders."""
        orders = 2 if self.orders is None else self.orders
        return 1 + 2 * self.carriers * (self.least_orders or orders)


MODES = {
    "2d": ModeFacts(3, 3, 1, 1, "two-beam SIM"),
    "tirf": ModeFacts(3, 3, 1, 1, "two-beam SIM with evanescent light"),
    "slice3": ModeFacts(3, 5, 2, 1, "three-beam SIM of a single plane"),
    "nonlinear": ModeFacts(5, 5, None, 1, "nonlinear SIM, harmonics of one fundamental"),
    "hex": ModeFacts(1, 7, 1, 3, "three carriers in the same frames"),
    "3d": ModeFacts(3, 5, 2, 1, "three-beam SIM, all planes as one volume"),
    "lls": ModeFacts(1, 5, 2, 1, "lattice light-sheet SIM, all planes as one volume", 1),
}
VOLUME_MODES = ("3d", "lls")
"""Modes that reconstruct all planes together."""

REFUSED = {
    "4beam": "Four-beam SIM (a mirror opposite to the objective) has orders with two axial "
    "frequencies each; this program has no OTF of such orders.",
    "i5s": "I5S looks through two opposing objectives that interfere: its OTF has side lobes whose "
    "phase must be measured for every sample; this program has no OTF for it.",
}
"""Modes that exist, are not done, and why."""


def refuse_by_name(mode: object) -> None:
    """Say why a mode that exists is not done here.

    Raises
    ------
    UsageError
    """
    name = str(mode).lower().replace("-", "").replace("_", "").replace(" ", "")
    if name in REFUSED:
        raise UsageError(
            f"The mode '{mode}' is not supported: {REFUSED[name]}",
            expected=", ".join(MODES),
            got=str(mode),
            where="--mode",
        )


def check_mode(mode: str) -> None:
    """Refuse a mode that is not known or not done.

    Raises
    ------
    UsageError
    """
    refuse_by_name(mode)
    if mode not in MODES:
        raise UsageError("Unknown mode.", expected=", ".join(MODES), got=mode, where="--mode")


def steps_of(mode: str, directions: int | None, phases: int | None) -> tuple[int, int]:
    """Directions and phases that were given, else those that are usual in a mode of planes.

    Raises
    ------
    UsageError
        For a mode that is not known, is not done, or makes volumes.
    """
    refuse_by_name(mode)
    planar = [name for name in MODES if name not in VOLUME_MODES]
    if mode in VOLUME_MODES:
        raise UsageError(
            f"The mode '{mode}' makes volumes, not planes.",
            expected=", ".join(planar),
            got=mode,
            where="--mode",
            hint="volumes are simulated by simulate_volume",
        )
    if mode not in MODES:
        raise UsageError("Unknown mode.", expected=", ".join(planar), got=mode, where="--mode")
    facts = MODES[mode]
    return (
        facts.directions if directions is None else directions,
        facts.phases if phases is None else phases,
    )


def check_steps(mode: str, directions: int, phases: int) -> None:
    """Refuse numbers of directions and phases that cannot be those of a mode.

    Raises
    ------
    UsageError
        With the frames that the mode needs.
    """
    facts = MODES.get(mode)
    if facts is None or mode in ("2d", "tirf"):
        return  # two-beam frames have checks of their own
    least = facts.least_phases()
    wrong_sets = facts.carriers > 1 and directions != 1
    if phases >= least and not wrong_sets:
        return
    count = "1 × " if facts.carriers > 1 else "directions × "
    raise UsageError(
        f"These frames cannot be those of mode {mode} ({facts.what}).",
        expected=f"{count}{least} or more phases",
        got=f"{directions} × {phases}",
        where="--mode, --angles, --phases",
        hint="check --angles and --phases"
        + (": simultaneous carriers have one direction of 7 phases" if facts.carriers > 1 else "")
        + usual_with(directions, phases),
    )


def usual_with(directions: int, phases: int) -> str:
    """Modes whose usual frames these are, to be added to a hint; empty where there are none."""
    usual = [n for n, one in MODES.items() if (one.directions, one.phases) == (directions, phases)]
    if not usual:
        return ""
    return f"; {directions} × {phases} frames are usual with --mode {' or '.join(usual)}"

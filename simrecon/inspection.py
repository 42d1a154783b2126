"""What raw frames mean, with the evidence: the answer to a file without notes.

:func:`inspect` is pure: arrays and facts in, a value out. It assumes as little as possible and
also works on files whose pixel size, wavelength or NA are unknown.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from simrecon.checks import CountsEvidence, check_frames, counts_evidence, saturation
from simrecon.evidence import DirectionPeak, OrderRow, compare_orders, explain
from simrecon.inspection_text import as_text
from simrecon.layout import arrange, plan_layout
from simrecon.model.frames import RawFrames
from simrecon.model.stack import SimStack
from simrecon.presets import PresetMatch, match_presets

STEPS = ((3, 3), (3, 5), (5, 5), (5, 3))
"""Directions × phases tried when neither the file nor the user says."""
SINGLE_STEPS = ((1, 5), (1, 3))
"""Tried when none of `STEPS` shows a pattern with distinct directions."""
VARIATION_LIMITS = (40.0, 60.0)
"""Total intensity variation, %: SIMcheck's limits of "ok" and "caution"."""


@dataclass(frozen=True)
class Brightness:
    """How steady the light was over the frames of one acquisition.

    Attributes
    ----------
    variation_percent : float
        100·(max − min)/max of the frames' means above the camera offset (0 when not known).
    within_percent : float
        The same within a direction, the largest of all directions.
    grade : {"ok", "caution", "bad"}
        Of `variation_percent`: up to 40 % ok, up to 60 % caution (SIMcheck).
    means : tuple of tuple of float
        Mean of each frame, per direction.
    """

    variation_percent: float
    within_percent: float
    grade: str
    means: tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Inspection:
    """What was found.

    Attributes
    ----------
    source, format, dtype : str
    sizes : dict of str to int
        T, C, A, P, Z, Y, X as understood.
    order : str
        Frame order, fastest first.
    order_decided : bool
        True when the pattern in the data decides for `order`.
    order_sentence : str
    orders : tuple of OrderRow
        Candidates, best first.
    orientation : str
    pixel_um, dz_um, na, index, excitation_na : float or None
    emission_nm, excitation_nm : tuple of float
    missing : tuple of str
        Options that reconstruction will need.
    counts : CountsEvidence
    saturated_fraction : float
    brightness : Brightness
    peaks : tuple of DirectionPeak
        Per direction, for `order`.
    presets : tuple of PresetMatch
    support : str
        What this program can do with such data.
    notes : tuple of str
    """

    source: str
    format: str
    dtype: str
    sizes: dict[str, int]
    order: str
    order_decided: bool
    order_sentence: str
    orders: tuple[OrderRow, ...]
    orientation: str
    pixel_um: float | None
    dz_um: float | None
    na: float | None
    index: float | None
    excitation_na: float | None
    emission_nm: tuple[float, ...]
    excitation_nm: tuple[float, ...]
    missing: tuple[str, ...]
    counts: CountsEvidence
    saturated_fraction: float
    brightness: Brightness
    peaks: tuple[DirectionPeak, ...]
    presets: tuple[PresetMatch, ...]
    support: str
    notes: tuple[str, ...]

    @property
    def finest_period_um(self) -> float | None:
        """Period that the excitation's NA and wavelength allow, µm."""
        if self.excitation_na is None or not self.excitation_nm:
            return None
        return self.excitation_nm[0] * 1e-3 / (2.0 * self.excitation_na)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready dictionary, schema ``simrecon/inspection/1``."""
        plain = ("source", "format", "dtype", "sizes", "order", "order_decided", "order_sentence",
                 "orientation", "pixel_um", "dz_um", "na", "index", "excitation_na", "support",
                 "saturated_fraction", "finest_period_um")  # fmt: skip
        lists = ("emission_nm", "excitation_nm", "missing", "notes")
        return {
            "schema": "simrecon/inspection/1",
            **{name: getattr(self, name) for name in plain},
            **{name: list(getattr(self, name)) for name in lists},
            "orders": [row.to_dict() for row in self.orders],
            "counts": dict(vars(self.counts)),
            "brightness": {**vars(self.brightness), "means": [list(m) for m in
                                                              self.brightness.means]},
            "peaks": [
                {**vars(p), "angle_deg": math.degrees(p.angle_rad)} for p in self.peaks
            ],
            "presets": [
                {"name": m.preset.name, "instrument": m.preset.instrument,
                 "agrees": list(m.agrees), "differs": list(m.differs), "source": m.preset.source}
                for m in self.presets
            ],
        }  # fmt: skip

    def to_text(self) -> str:
        """Readable report."""
        return as_text(self)


def inspect(stack: SimStack | RawFrames) -> Inspection:
    """Find out what raw frames mean.

    Parameters
    ----------
    stack
        A stack as read for work, or :func:`simrecon.io.read_raw`'s frames with whatever the
        file says. For the latter the numbers of directions and phases and the order are tried.

    Returns
    -------
    Inspection

    Raises
    ------
    InputError
        When frames hold NaN, are constant, or their number fits no acquisition.
    """
    data, rows, raw = _grouped(stack)
    best = rows[0]
    sentence, decided = explain(rows)
    notes = [*raw.notes, *(n for n in check_frames(data) if n not in raw.notes)]
    stated = raw.order or ""
    if decided and stated and _core(stated) != best.order:
        notes.append(f"The data speak for order {best.order}, not {stated}: give --order "
                     f"{best.order}.")  # fmt: skip
    fraction, _ = saturation(data)
    strong = [p for p in best.peaks if p.grade == "strong"]
    matches = match_presets(
        angles=best.angles,
        phases=best.phases,
        pixel_um=raw.pixel_um,
        na=raw.na,
        excitation_nm=raw.excitation_nm[0] if raw.excitation_nm else None,
        excitation_na=raw.excitation_na,
        period_um=_finest_um(strong, raw.pixel_um),
        directions_rad=[p.angle_rad for p in strong],
    )
    sizes = dict(zip("TCAPZYX", (int(n) for n in data.shape), strict=True))
    paths = list(raw.metadata.get("paths", ["(array)"]))
    return Inspection(
        source=paths[0] if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1} more",
        format=str(raw.metadata.get("format", "array")),
        dtype=np.dtype(data.dtype).name,
        sizes=sizes,
        order=best.order,
        order_decided=decided,
        order_sentence=sentence,
        orders=rows,
        orientation="rows turned round on reading (stored bottom-up)"
        if raw.flipped_y
        else "first row on top, as stored",
        pixel_um=raw.pixel_um,
        dz_um=raw.dz_um,
        na=raw.na,
        index=raw.index,
        excitation_na=raw.excitation_na,
        emission_nm=raw.emission_nm,
        excitation_nm=raw.excitation_nm,
        missing=_missing(raw, decided, best),
        counts=counts_evidence(data),
        saturated_fraction=fraction,
        brightness=brightness(_first(data)[:, :, data.shape[4] // 2], _offset(raw)),
        peaks=best.peaks,
        presets=matches,
        support=_support(best),
        notes=tuple(dict.fromkeys(notes)),
    )


def _core(order: str) -> str:
    """An order without the letters of channel and time."""
    return "".join(c for c in order if c in "PAZ")


def _first(data: Any) -> np.ndarray:
    """First time point and channel, (A, P, Z, Y, X)."""
    return np.asarray(data[0, 0])


def _grouped(stack: SimStack | RawFrames) -> tuple[Any, tuple[OrderRow, ...], RawFrames]:
    """Data (T, C, A, P, Z, Y, X) grouped by the best order, candidates, and the known facts."""
    if isinstance(stack, SimStack):
        raw = _facts_of(stack)
        group, stated = _first(stack.data), _core(stack.order)
        sequence = _sequence(group, stated)
        rows = compare_orders(sequence, group.shape[0], group.shape[1], stack.pixel_um, stated)
        return stack.data, rows, raw
    tried = [_try(stack, *steps) for steps in _steps(stack, STEPS)]
    if not any(rows[0].distinct for _, rows in tried):
        tried += [_try(stack, *steps) for steps in _steps(stack, SINGLE_STEPS)]
    if not tried:
        tried = [_try(stack, stack.angles or STEPS[0][0], stack.phases or STEPS[0][1])]
    data, rows = max(tried, key=lambda one: _completeness(one[1][0]))
    return data, rows, stack


def _completeness(row: OrderRow) -> tuple[bool, int, tuple[float, bool, float]]:
    """Sort key of different numbers of directions: complete ones first, then more directions."""
    return row.distinct == row.angles, row.distinct, row.score


def _facts_of(stack: SimStack) -> RawFrames:
    """A stack's facts in the form of raw frames (without the frames)."""
    first = stack.optics[0]
    excitation = tuple(o.excitation_nm for o in stack.optics if o.excitation_nm is not None)
    return RawFrames(
        frames=None, axes=(), pixel_um=stack.pixel_um, dz_um=stack.dz_um,
        emission_nm=tuple(o.emission_nm for o in stack.optics), excitation_nm=excitation,
        na=first.na, index=first.immersion_index, excitation_na=first.excitation_na,
        angles=stack.directions, phases=stack.phases, order=stack.order, camera=stack.camera,
        flipped_y=stack.flipped_y,
        metadata=stack.metadata, notes=stack.notes,
    )  # fmt: skip


def _steps(raw: RawFrames, among: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Directions × phases worth trying; only the given ones when both are known."""
    if raw.angles is not None and raw.phases is not None:
        return [(raw.angles, raw.phases)] if among is STEPS else []
    return [
        (a, p)
        for a, p in among
        if raw.count % (a * p) == 0 and raw.angles in (None, a) and raw.phases in (None, p)
    ]


def _try(raw: RawFrames, angles: int, phases: int) -> tuple[Any, tuple[OrderRow, ...]]:
    """Group by the stated order, or by the one of all candidates that fits best.

    Without a stated order, frames beyond one acquisition are tried as time points and, when the
    file does not declare time points, as planes.
    """
    rows: list[OrderRow] = []
    free = replace(raw, angles=angles, phases=phases)
    orders = ("PA",) if raw.order is None else (raw.order,)
    declared_time = dict(raw.axes).get("T", 1) > 1
    if raw.order is None and raw.count > angles * phases and not declared_time:
        orders = ("PA", "PZA")
    for order in orders:
        sequence = _sequence(_first(_arranged(free, order)), _core(order))
        stated = _core(order) if raw.order else ""
        rows.extend(compare_orders(sequence, angles, phases, raw.pixel_um, stated))
    rows.sort(key=lambda row: row.score, reverse=True)
    best = rows[0]
    order = raw.order if raw.order and _core(raw.order) == best.order else best.order
    return _arranged(free, order), tuple(r for r in rows if r.planes == best.planes)


def _sequence(group: np.ndarray, order: str) -> np.ndarray:
    """(A, P, Z, Y, X), grouped as `order` says, back to the file's sequence (n, Y, X)."""
    letters = order if "Z" in order else f"{order}Z"
    frames = group.transpose(*("APZ".index(c) for c in reversed(letters)), 3, 4)
    return frames.reshape(-1, *group.shape[-2:])


def _arranged(raw: RawFrames, order: str) -> np.ndarray:
    # order given and steps known: a stated order keeps plan_layout from asking for options
    return arrange(raw, plan_layout(raw, raw.angles, raw.phases, order, "the file"))


def _finest_um(strong: Sequence[DirectionPeak], pixel_um: float | None) -> float | None:
    """Median of the strong peaks' finest periods, µm; None without a pixel size."""
    if pixel_um is None or not strong:
        return None
    return pixel_um * float(np.median([p.finest_px for p in strong]))


def _offset(raw: RawFrames) -> float:
    return float(np.median(np.asarray(raw.camera.offset))) if raw.camera is not None else 0.0


def brightness(frames: np.ndarray, offset: float) -> Brightness:
    """Grade the steadiness of one acquisition's frames (A, P, Y, X)."""
    means = frames.astype(np.float64).mean(axis=(-2, -1)) - offset

    def variation(values: np.ndarray) -> float:
        high = float(values.max())
        return 100.0 * (high - float(values.min())) / high if high > 0 else math.nan

    total = variation(means)
    ok, caution = VARIATION_LIMITS
    grade = "ok" if total <= ok else "caution" if total <= caution else "bad"
    within = max(variation(row) for row in means)
    return Brightness(total, within, grade, tuple(tuple(float(v) for v in row) for row in means))


def _missing(raw: RawFrames, decided: bool, best: OrderRow) -> tuple[str, ...]:
    """Options that :func:`simrecon.read` will ask for, or without which it must assume."""
    missing = []
    if raw.pixel_um is None:
        missing.append("--pixel-um")
    if not raw.emission_nm:
        missing.append("--emission-nm")
    if raw.na is None:
        missing.append("--na")
    if (best.angles, best.phases) != (3, 3) and (raw.angles is None or raw.phases is None):
        missing.append(f"--angles {best.angles} --phases {best.phases}")
    if raw.order is None and best.order != "PA":
        missing.append(f"--order {best.order}")
    elif raw.order is None and not decided:
        missing.append("--order")
    return tuple(missing)


def _support(best: OrderRow) -> str:
    if best.planes > 1:
        return "3-D stack: read and inspected; 3-D reconstruction is not yet available"
    if best.angles == 1:
        return "one pattern direction: resolution can be gained along it only"
    if best.phases > 3:
        return (
            f"{best.phases} phases: reconstructed as 2-D SIM with one pattern order; a second "
            "order is not used yet"
        )
    return "2-D / TIRF SIM: can be reconstructed"

"""What raw frames mean, with the evidence: the answer to a file without notes.

:func:`inspect` is pure: arrays and facts in, a value out. It assumes as little as possible and
also works on files whose pixel size, wavelength or NA are unknown.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from simrecon.checks import (
    SATURATION_FAILED,
    SMALLEST_FRAME,
    CountsEvidence,
    check_finite,
    check_frames,
    counts_evidence,
    saturation,
)
from simrecon.errors import UsageError
from simrecon.estimate.direction_peaks import DirectionPeak
from simrecon.estimate.order import OrderRow, explain, none_fits
from simrecon.grouping import Grouping, core_order, first_acquisition, group_frames
from simrecon.handedness import handedness
from simrecon.inspection_text import as_text
from simrecon.model.frames import RawFrames
from simrecon.model.mode import MODES, VOLUME_MODES, check_mode, check_steps
from simrecon.model.stack import SimStack
from simrecon.presets import PresetMatch, match_presets

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
    handedness : str
        Sentence when the directions are the expected ones seen otherwise (mirrored, turned, in
        another sequence); empty when they are as expected or nothing is expected.
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
    handedness: str
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
                 "orientation", "handedness",
                 "pixel_um", "dz_um", "na", "index", "excitation_na", "support",
                 "saturated_fraction", "finest_period_um")  # fmt: skip
        lists = ("emission_nm", "excitation_nm", "missing", "notes")
        return {
            "schema": "simrecon/inspection/1",
            **{name: getattr(self, name) for name in plain},
            **{name: list(getattr(self, name)) for name in lists},
            "orders": [row.to_dict() for row in self.orders],
            "counts": dict(vars(self.counts)),
            "brightness": _known(vars(self.brightness)),
            "peaks": [
                _known({**vars(p), "angle_deg": math.degrees(p.angle_rad)}) for p in self.peaks
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


def inspect(
    stack: SimStack | RawFrames,
    expected_angles_rad: Sequence[float] | None = None,
    mode: str | None = None,
) -> Inspection:
    """Find out what raw frames mean.

    Parameters
    ----------
    stack
        A stack as read for work, or :func:`simrecon.io.read_raw`'s frames with whatever the
        file says. For the latter the numbers of directions and phases and the order are tried.
    expected_angles_rad
        Directions atan2(fy, fx) that the user expects, in sequence; None: those of the preset
        that fits best.
    mode
        Mode that the user expects (:data:`simrecon.model.mode.MODES`): `support` says whether these
        can be its frames. None: `support` says what they can be.

    Returns
    -------
    Inspection

    Raises
    ------
    InputError
        When frames hold NaN, are constant, or their number fits no acquisition.
    UsageError
        For a mode that is not known or not done.
    """
    if mode is not None:
        check_mode(mode)
    if isinstance(stack, RawFrames):
        check_finite(stack.frames)
    else:
        check_frames(stack.data)
    directions = MODES[mode].directions if mode in VOLUME_MODES else 0
    grouping = group_frames(stack, volume_directions=directions)
    data, rows, raw = grouping.data, grouping.rows, grouping.facts
    best = rows[0]
    sentence, decided = explain(rows)
    sizes = dict(zip("TCAPZYX", (int(n) for n in data.shape), strict=True))
    paths = list(raw.metadata.get("paths", ["(array)"]))
    presets = _presets(raw, best)
    return Inspection(
        source=paths[0] if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1} more",
        format=str(raw.metadata.get("format", "array")),
        dtype=np.dtype(data.dtype).name,
        sizes=sizes,
        order=grouping.order,
        order_decided=decided and (grouping.channels is None or grouping.channels.decided),
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
        missing=_missing(raw, decided, rows, grouping.order),
        counts=counts_evidence(data),
        saturated_fraction=saturation(data)[0],
        brightness=brightness(first_acquisition(data)[:, :, data.shape[4] // 2], _offset(raw)),
        peaks=best.peaks,
        presets=presets,
        handedness=_handedness(best, presets, expected_angles_rad),
        support=_obstacle(sizes, saturation(data)[0])
        or (
            "no frame order fits: sort the frames first"
            if none_fits(rows)
            else _support(best, mode)
        ),
        notes=_notes(grouping, decided),
    )


def _known(values: dict[str, Any]) -> dict[str, Any]:
    """The same with None for NaN, which JSON cannot hold."""
    return {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in values.items()}


def _notes(grouping: Grouping, decided: bool) -> tuple[str, ...]:
    facts, best = grouping.facts, grouping.rows[0]
    notes = [*facts.notes, *grouping.notes, *check_frames(grouping.data)]
    if decided and facts.order and core_order(facts.order) != best.order:
        notes.append(
            f"The data speak for order {best.order}, not {facts.order}: give --order {best.order}."
        )
    if grouping.channels is not None:
        split = grouping.channels
        sure = "" if split.decided else ", but that is not certain"
        notes.append(
            f"Channels change every {split.stride} frame(s): that separates the pictures best "
            f"({100 * split.explained:.0f} % of their variation){sure}."
        )
    if grouping.ambiguous_time:
        notes.append(
            "Planes and time points look the same to the pattern here: give --order PAZ for a "
            "stack of planes, PA for a time series."
        )
    return tuple(dict.fromkeys(notes))


def _handedness(
    best: OrderRow, presets: Sequence[PresetMatch], expected_rad: Sequence[float] | None
) -> str:
    """Sentence about directions seen otherwise than the user or the best preset says."""
    found = [math.nan if p.grade == "none" else p.angle_rad for p in best.peaks]
    sets = presets[0].preset.directions_rad if presets else ()
    if expected_rad is not None:
        sets = (tuple(expected_rad),)
    seen = [h for h in (handedness(found, one) for one in sets) if h is not None]
    if any(h.sentence == "" for h in seen) or (expected_rad is None and len(found) == 1):
        return ""  # one direction turned by something is no sign of an instrument
    if seen:
        return seen[0].sentence
    if expected_rad is None or all(math.isnan(a) for a in found):
        return ""
    return "The angles found are not the expected ones, mirrored and turned views included."


def _presets(raw: RawFrames, best: OrderRow) -> tuple[PresetMatch, ...]:
    strong = [p for p in best.peaks if p.grade == "strong"]
    return match_presets(
        angles=best.angles,
        phases=best.phases,
        pixel_um=raw.pixel_um,
        na=raw.na,
        excitation_nm=raw.excitation_nm[0] if raw.excitation_nm else None,
        excitation_na=raw.excitation_na,
        period_um=_finest_um(strong, raw.pixel_um),
        directions_rad=[p.angle_rad for p in strong],
    )


def _finest_um(strong: Sequence[DirectionPeak], pixel_um: float | None) -> float | None:
    """Median of the strong peaks' finest periods, µm; None without a pixel size."""
    if pixel_um is None or not strong:
        return None
    return pixel_um * float(np.median([p.finest_px for p in strong]))


def _offset(raw: RawFrames) -> float:
    return float(np.nanmedian(np.asarray(raw.camera.offset))) if raw.camera is not None else 0.0


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


def _missing(
    raw: RawFrames, decided: bool, rows: Sequence[OrderRow], order: str
) -> tuple[str, ...]:
    """Options that :func:`simrecon.read` will ask for, or without which it must assume."""
    missing, best = [], rows[0]
    if raw.pixel_um is None:
        missing.append("--pixel-um")
    if not raw.emission_nm:
        missing.append("--emission-nm")
    if raw.na is None:
        missing.append("--na")
    if (best.angles, best.phases) != (3, 3) and (raw.angles is None or raw.phases is None):
        missing.append(f"--angles {best.angles} --phases {best.phases}")
    if none_fits(rows):
        missing.append("--order")
    elif order != "PA" if raw.order is None else decided and core_order(raw.order) != best.order:
        missing.append(f"--order {order}")
    elif raw.order is None and not decided:
        missing.append("--order")
    if best.planes > 1 and best.times > 1 and raw.planes is None:
        missing.append(f"--planes {best.planes}")
    return tuple(missing)


def _obstacle(sizes: dict[str, int], saturated: float) -> str:
    """Why frames of any order will be refused; empty when nothing is known."""
    if min(sizes["Y"], sizes["X"]) < SMALLEST_FRAME:
        return (
            f"cannot be reconstructed: frames of {sizes['Y']} × {sizes['X']} pixels, where a "
            f"pattern fit needs {SMALLEST_FRAME} × {SMALLEST_FRAME}"
        )
    if saturated > SATURATION_FAILED:
        return (
            f"cannot be reconstructed: {100 * saturated:.2g} % of the pixels are saturated "
            f"(at most {100 * SATURATION_FAILED:g} %); acquire again with less light"
        )
    return ""


def _support(best: OrderRow, mode: str | None) -> str:
    if mode is not None:
        return _support_of_mode(best, mode)
    if best.planes > 1 and best.angles == 1:
        return "stack of one pattern direction: a lattice light sheet's volume (--mode lls)"
    if best.planes > 1 and best.phases >= 5:
        return "3-D stack: can be reconstructed as a volume (--mode 3d)"
    if best.planes > 1:
        return "stack of planes: 2-D / TIRF SIM, can be reconstructed plane by plane"
    if best.angles == 1 and best.phases >= 7:
        return (
            "one set of frames: three carriers in the same frames (--mode hex), or one pattern "
            "direction, with resolution gained along it only"
        )
    if best.angles == 1:
        return "one pattern direction: resolution can be gained along it only"
    if best.phases > 3:
        return (
            f"{best.phases} phases: reconstructed as 2-D SIM with one pattern order; --mode slice3 "
            "(three beams) or nonlinear uses several"
        )
    return "2-D / TIRF SIM: can be reconstructed"


def _support_of_mode(best: OrderRow, mode: str) -> str:
    """Whether frames of this layout can be those of a mode."""
    try:
        check_steps(mode, best.angles, best.phases)
    except UsageError as error:
        return f"{error.message} Needed: {error.expected}; here {error.got}"
    what = f"mode {mode} ({MODES[mode].what})"
    if mode in VOLUME_MODES and best.planes == 1:
        return f"{what} takes stacks of planes; here one plane per acquisition"
    planes = ", plane by plane" if mode not in VOLUME_MODES and best.planes > 1 else ""
    return f"{what}: {best.angles} × {best.phases} frames can be its{planes}"

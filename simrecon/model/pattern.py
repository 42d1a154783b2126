"""Illumination patterns with their uncertainties, and the ``simrecon/pattern/1`` schema.

A direction d illuminates with ``1 + Σ_m modulation_m · cos(2π m p·r + m·phase_j)`` times the
intensity of frame j; r is measured from the centre of raw pixel (0, 0). The pattern belongs to the
instrument: a sample that moved by ``drift_um`` in frame j is ``S(r − drift_j)`` under that light.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from simrecon.errors import InputError
from simrecon.model.local_field import LocalField

Verdict = Literal["ok", "weak", "failed"]
SCHEMA = "simrecon/pattern/1"
_RANK: dict[str, int] = {"ok": 0, "weak": 1, "failed": 2}

_KEYS = frozenset(
    ("schema", "pixel_um", "shape", "order", "directions", "simultaneous", "verdict", "notes")
)
_DIRECTION_KEYS = frozenset(
    [
        "frequency_per_um",
        "frequency_sd_per_um",
        "phase_rad",
        "phase_sd_rad",
        "modulation",
        "modulation_sd",
        "intensity",
        "intensity_sd",
        "correlation",
        "peak_to_background",
        "evidence_nats",
        "rivalry",
        "drift_um",
        "drift_sd_um",
        "phase_step_rad",
        "phase_step_sd_rad",
        "local",
        "sheet_offset_um",
        "sheet_offset_sd_um",
        "period_um",
        "angle_rad",
        "verdict",
    ]
)


def worst(verdicts: Sequence[Verdict]) -> Verdict:
    """The worst of several verdicts."""
    return max(verdicts, key=_RANK.__getitem__)


def line_distance_rad(first: float, second: float) -> float:
    """Smallest angle between two directions taken as lines (θ and θ + π are one), 0…π/2."""
    difference = (first - second) % math.pi
    return min(difference, math.pi - difference)


@dataclass(frozen=True)
class DirectionPattern:
    """One pattern direction.

    Attributes
    ----------
    frequency_per_um : (float, float)
        Fundamental frequency vector [fy, fx], cycles/µm.
    frequency_sd_per_um : (float, float)
        Standard deviations of the two components.
    phase_rad, phase_sd_rad : tuple of float, one per frame
        Phase of the fundamental at the centre of pixel (0, 0), z = 0. The standard deviation
        is that of the phase at the *centre of the field*, where it does not mix with the
        frequency's.
    modulation, modulation_sd : tuple of float, one per order
        Pattern contrast of order 1, 2, … after OTF normalisation.
    intensity, intensity_sd : tuple of float, one per frame
        Relative brightness; the mean over all frames of the stack is 1.
    correlation : tuple of float, one per order
        Noise-corrected correlation of the bands in their overlap, 0…1.
    verdict : {"ok", "weak", "failed"}
    peak_to_background : float or None
        Height of the carrier peak over the search ring's background, in its robust sigmas.
    evidence_nats : float or None
        Likelihood ratio with which the overlapping bands speak for the carrier.
    rivalry : float or None
        Evidence for the best other carrier over that for this one.
    drift_um, drift_sd_um : tuple of (float, float), one per frame, or empty
        Displacement (y, x) of the sample in each frame from its mean place, µm; empty: none.
    phase_step_rad, phase_step_sd_rad : tuple of float, one per frame, or empty
        Phases that are known up to one that they have in common, and how well they repeat: only the
        common phase is then to be fitted. They stand instead of `phase_rad`.
    local : LocalField or None
        Smooth deviation of the carrier over the field; None: the same everywhere.
    sheet_offset_um, sheet_offset_sd_um : float or None
        Distance of the light sheet from the focal plane, positive deeper; None: no sheet, or one
        whose OTF was measured where it is. Without standard deviation: given.
    """

    frequency_per_um: tuple[float, float]
    phase_rad: tuple[float, ...]
    modulation: tuple[float, ...]
    intensity: tuple[float, ...]
    frequency_sd_per_um: tuple[float, float] = (0.0, 0.0)
    phase_sd_rad: tuple[float, ...] = ()
    modulation_sd: tuple[float, ...] = ()
    intensity_sd: tuple[float, ...] = ()
    correlation: tuple[float, ...] = ()
    verdict: Verdict = "ok"
    peak_to_background: float | None = None
    drift_um: tuple[tuple[float, float], ...] = ()
    drift_sd_um: tuple[tuple[float, float], ...] = ()
    phase_step_rad: tuple[float, ...] = ()
    phase_step_sd_rad: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.phase_step_rad and self.phase_rad:
            raise ValueError("phase_step_rad and phase_rad exclude each other")
        sd = self.phase_step_sd_rad
        if sd and (len(sd) != len(self.phase_step_rad) or min(sd) <= 0):
            raise ValueError("phase_step_sd_rad needs a positive number for every phase step")
        for name in ("drift_um", "drift_sd_um"):
            values = getattr(self, name)
            if values and not self.phase_rad:
                raise ValueError(f"{name} without phase_rad: drift belongs to a complete pattern")
            if values and len(values) != len(self.phase_rad):
                frames = len(self.phase_rad)
                raise ValueError(f"{name} has {len(values)} entries (y, x) for {frames} frames")
        if self.local is not None and not self.phase_rad:
            raise ValueError(
                "local without phase_rad: a local deviation belongs to a complete pattern (fitted "
                "at the given frequencies, it is measured again: leave it out)"
            )

    @property
    def sample_phase_rad(self) -> tuple[float, ...]:
        """Phases of the pattern on the sample, ``φ + 2π p·drift``; equal to φ without drift."""
        if not self.drift_um:
            return self.phase_rad
        fy, fx = self.frequency_per_um
        return tuple(
            phase + 2.0 * math.pi * (fy * uy + fx * ux)
            for phase, (uy, ux) in zip(self.phase_rad, self.drift_um, strict=True)
        )

    def at_rest(self) -> DirectionPattern:
        """The pattern that frames have once their drift is undone."""
        return replace(self, phase_rad=self.sample_phase_rad, drift_um=(), drift_sd_um=())

    local: LocalField | None = None
    evidence_nats: float | None = None
    rivalry: float | None = None
    sheet_offset_um: float | None = None
    sheet_offset_sd_um: float | None = None

    @property
    def period_um(self) -> float:
        """Period of the fundamental, µm."""
        return 1.0 / float(np.hypot(*self.frequency_per_um))

    @property
    def angle_rad(self) -> float:
        """Direction of the frequency vector, atan2(fy, fx), rad; y grows downwards."""
        return float(np.arctan2(self.frequency_per_um[0], self.frequency_per_um[1]))


@dataclass(frozen=True)
class PatternFit:
    """Patterns of all directions of one stack.

    Attributes
    ----------
    pixel_um : float
        Raw pixel pitch, µm.
    shape : (int, int)
        Raw frame size (Y, X).
    directions : tuple of DirectionPattern
    order : str
        Acquisition order of the file, letters fastest first.
    verdict : {"ok", "weak", "failed"}
        Overall verdict: the worst direction, or worse for joint reasons (equal directions).
    notes : tuple of str
        Sentences for the user.
    simultaneous : bool
        All directions light every frame at once (hexagonal patterns): the frames have one entry
        along A, and intensities and drift, which belong to frames, are those of every direction.

    Raises
    ------
    ValueError
        For simultaneous directions that cannot share their frames.
    """

    pixel_um: float
    shape: tuple[int, int]
    directions: tuple[DirectionPattern, ...]
    order: str = "PA"
    verdict: Verdict = "ok"
    notes: tuple[str, ...] = field(default=())
    simultaneous: bool = False

    def __post_init__(self) -> None:
        if self.simultaneous:
            _check_simultaneous(self.directions)

    @property
    def frame_sets(self) -> tuple[tuple[int, ...], ...]:
        """Directions that share frames, one tuple for every entry of the frames along A."""
        each = range(len(self.directions))
        return (tuple(each),) if self.simultaneous else tuple((d,) for d in each)

    def frame_set(self, direction: int) -> int:
        """Place along A of the frames that a direction lights."""
        return 0 if self.simultaneous else direction

    @property
    def several_carriers(self) -> bool:
        """Whether any frame holds more than one carrier: harmonics, or simultaneous directions."""
        return self.simultaneous or any(len(d.modulation) > 1 for d in self.directions)

    @property
    def complete(self) -> bool:
        """False when a direction lacks phases or modulation: those are then to be fitted."""
        return all(d.phase_rad and d.modulation for d in self.directions)

    @property
    def drifting(self) -> bool:
        """Whether the sample moved in any frame."""
        return any(u != (0.0, 0.0) for d in self.directions for u in d.drift_um)

    def at_rest(self) -> PatternFit:
        """The pattern that frames have once their drift is undone."""
        return replace(self, directions=tuple(d.at_rest() for d in self.directions))

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready dictionary in the ``simrecon/pattern/1`` schema."""
        directions = []
        for d in self.directions:
            directions.append(
                {
                    "frequency_per_um": list(d.frequency_per_um),
                    "frequency_sd_per_um": list(d.frequency_sd_per_um),
                    "phase_rad": list(d.phase_rad),
                    "phase_sd_rad": list(d.phase_sd_rad),
                    "modulation": list(d.modulation),
                    "modulation_sd": list(d.modulation_sd),
                    "intensity": list(d.intensity),
                    "intensity_sd": list(d.intensity_sd),
                    "correlation": list(d.correlation),
                    "peak_to_background": d.peak_to_background,
                    "evidence_nats": d.evidence_nats,
                    "rivalry": d.rivalry,
                    "period_um": d.period_um,
                    "angle_rad": d.angle_rad,
                    "verdict": d.verdict,
                    **_drift_to_dict(d),
                    **_steps_to_dict(d),
                    **({} if d.local is None else {"local": d.local.to_dict()}),
                    **_sheet_to_dict(d),
                }
            )
        return {
            "schema": SCHEMA,
            "pixel_um": self.pixel_um,
            "shape": list(self.shape),
            "order": self.order,
            "directions": directions,
            "verdict": self.verdict,
            "notes": list(self.notes),
            **({"simultaneous": True} if self.simultaneous else {}),
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any], where: str = "pattern") -> PatternFit:
        """Read the ``simrecon/pattern/1`` schema.

        Only `pixel_um`, `shape`, and per direction `frequency_per_um` are required (a
        hand-written pattern file needs no more). Without `phase_rad` and `modulation` the
        pattern is not :attr:`complete`: they are fitted at the given frequencies, with
        `phase_step_rad` only one phase per direction.
        Intensities default to 1.

        Raises
        ------
        InputError
            When the schema is another one or a required key is missing or malformed.
        """
        if data.get("schema") != SCHEMA:
            raise InputError(
                "This is not a pattern file.",
                expected=f'"schema": "{SCHEMA}"',
                got=repr(data.get("schema")),
                where=where,
            )
        try:
            _refuse_unknown(data, _KEYS)
            directions = tuple(
                _direction_from_dict(number, d) for number, d in enumerate(data["directions"], 1)
            )
            shape = tuple(int(n) for n in data["shape"])
            if len(shape) != 2 or not directions:
                raise ValueError("shape needs two sizes and directions must not be empty")
            return cls(
                pixel_um=_finite(data["pixel_um"]),
                shape=(shape[0], shape[1]),
                directions=directions,
                order=str(data.get("order", "PA")),
                verdict=_verdict(data),
                notes=tuple(data.get("notes", ())),
                simultaneous=_flag(data, "simultaneous"),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                "The pattern file is incomplete or malformed.",
                expected="pixel_um, shape and directions with frequency_per_um, and phase_rad "
                "with modulation or neither",
                got=f"{type(error).__name__}: {error}",
                where=where,
            ) from error


def _check_simultaneous(directions: Sequence[DirectionPattern]) -> None:
    first = directions[0]
    if len(directions) < 2:
        raise ValueError("simultaneous needs two directions or more")
    for number, d in enumerate(directions, 1):
        if len(d.modulation) > 1:
            raise ValueError(f"direction {number}: simultaneous directions have one order each")
        if len(d.phase_rad) != len(first.phase_rad):
            raise ValueError(f"direction {number}: simultaneous directions share their frames")
        if d.intensity != first.intensity or d.drift_um != first.drift_um:
            raise ValueError(
                f"direction {number}: intensity and drift of shared frames must be the same in "
                "every direction"
            )


def _flag(data: dict[str, Any], key: str) -> bool:
    value = data.get(key, False)
    if not isinstance(value, bool):
        raise ValueError(f"{key} must be true or false, not {value!r}")
    return value


def _refuse_unknown(data: dict[str, Any], known: frozenset[str]) -> None:
    unknown = sorted(set(data) - known)
    if unknown:
        raise ValueError(f"unknown key(s) {', '.join(unknown)}; known: {', '.join(sorted(known))}")


def _verdict(data: dict[str, Any]) -> Verdict:
    found = data.get("verdict", "ok")
    if found not in _RANK:
        raise ValueError(f"verdict {found!r} is none of {', '.join(_RANK)}")
    verdict: Verdict = found
    return verdict


def _finite(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{number} is no number to work with")
    return number


def _drift_to_dict(d: DirectionPattern) -> dict[str, Any]:
    """The optional keys, only where something moved."""
    if not d.drift_um:
        return {}
    found = {"drift_um": [list(u) for u in d.drift_um]}
    if d.drift_sd_um:
        found["drift_sd_um"] = [list(u) for u in d.drift_sd_um]
    return found


def _steps_to_dict(d: DirectionPattern) -> dict[str, Any]:
    """The optional keys, only where the steps are known instead of the phases."""
    names = ("phase_step_rad", "phase_step_sd_rad")
    return {name: list(getattr(d, name)) for name in names if getattr(d, name)}


def _sheet_to_dict(d: DirectionPattern) -> dict[str, Any]:
    """The optional keys of a light sheet."""
    found = {n: getattr(d, n) for n in ("sheet_offset_um", "sheet_offset_sd_um")}
    return {name: value for name, value in found.items() if value is not None}


def _vectors(key: str, values: Sequence[Sequence[Any]]) -> tuple[tuple[float, float], ...]:
    """One (y, x) per frame; `key` names them in what is raised."""
    found = []
    for vector in values:
        numbers = [float(v) for v in vector]
        if len(numbers) != 2 or not all(map(math.isfinite, numbers)):
            raise ValueError(f"{key} needs one finite (y, x) per frame, not {vector}")
        found.append((numbers[0], numbers[1]))
    return tuple(found)


def _direction_from_dict(number: int, d: dict[str, Any]) -> DirectionPattern:
    """Direction `number` (from 1), which the errors name."""
    try:
        return _direction(d)
    except KeyError as error:
        raise ValueError(f"direction {number}: {error.args[0]} is missing") from error
    except (TypeError, ValueError) as error:
        raise ValueError(f"direction {number}: {error}") from error


def _direction(d: dict[str, Any]) -> DirectionPattern:
    def floats(key: str, default: Sequence[float] = ()) -> tuple[float, ...]:
        return tuple(_finite(v) for v in d.get(key, default))

    _refuse_unknown(d, _DIRECTION_KEYS)
    fy, fx = (_finite(v) for v in d["frequency_per_um"])
    sd = floats("frequency_sd_per_um", (0.0, 0.0))
    phase = tuple(_finite(v) for v in d.get("phase_rad") or ())
    modulation = tuple(_finite(v) for v in d.get("modulation") or ())
    if bool(phase) != bool(modulation):
        raise ValueError("phase_rad and modulation belong together")

    def maybe(key: str) -> float | None:
        return None if d.get(key) is None else _finite(d[key])

    verdict = _verdict(d)
    return DirectionPattern(
        frequency_per_um=(fy, fx),
        frequency_sd_per_um=(sd[0], sd[1]),
        phase_rad=phase,
        phase_sd_rad=floats("phase_sd_rad"),
        modulation=modulation,
        modulation_sd=floats("modulation_sd"),
        intensity=floats("intensity", (1.0,) * len(phase)),
        intensity_sd=floats("intensity_sd"),
        correlation=floats("correlation"),
        verdict=verdict,
        peak_to_background=maybe("peak_to_background"),
        evidence_nats=maybe("evidence_nats"),
        rivalry=maybe("rivalry"),
        drift_um=_vectors("drift_um", d.get("drift_um", ())),
        drift_sd_um=_vectors("drift_sd_um", d.get("drift_sd_um", ())),
        phase_step_rad=floats("phase_step_rad"),
        phase_step_sd_rad=floats("phase_step_sd_rad"),
        local=LocalField.from_dict(d["local"]) if d.get("local") else None,
        sheet_offset_um=maybe("sheet_offset_um"),
        sheet_offset_sd_um=maybe("sheet_offset_sd_um"),
    )

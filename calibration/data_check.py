"""Do data fit a record? Size, optics, age, offset and noise: one finding each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import islice

import numpy as np

from calibration.moments import Moments, measure
from simrecon.errors import InputError
from simrecon.io import CalibrationRecord
from simrecon.io.camera_record import camera_of
from simrecon.model.camera import Camera
from simrecon.model.pattern import Verdict
from simrecon.qc.gates import NOISE_FAILED, NOISE_WEAK
from simrecon.recon.noise_floor import hann_window, noise_variance_beyond_cutoff

MAX_FRAMES = 200
"""So many frames are looked at: enough for an offset to 0.1 read noises in each pixel."""
SAME, OTHER = 0.02, 0.2
"""Relative differences of pixel size or wavelength from which a record is doubted, and refused."""
DRIFT_WEAK, DRIFT_FAILED = 0.5, 2.0
"""Change of the offset in read noises; half a noise shows in the darkest pixels."""
NOISE_CHANGE_WEAK, NOISE_CHANGE_FAILED = 1.1, 1.5
"""Ratio of read noises, either way; 10 % is far beyond the error of 10 frames of any sensor."""
BELOW = 0.01, 3.0
"""Share of the pixels that may lie so many read noises below the offset; 0.13 % do by chance."""
_OPTICS = {"pixel_um": "µm", "emission_nm": "nm", "na": "", "index": ""}
Optics = Mapping[str, float]


@dataclass(frozen=True)
class Finding:
    """One comparison: its name, verdict, and a sentence with both numbers."""

    name: str
    verdict: Verdict | None
    text: str

    def to_dict(self) -> dict[str, str | None]:
        """JSON form; verdict None means that it could not be compared."""
        return {"name": self.name, "verdict": self.verdict, "text": self.text}


def _grade(value: float, weak: float, failed: float) -> Verdict:
    """Verdict of a number that should be small."""
    return "failed" if value > failed else "weak" if value > weak else "ok"


def check_age(record: CalibrationRecord, today: date) -> Finding:
    """Whether the record is still valid."""
    made = record.created[:10] or "an unknown date"
    if not record.expires:
        return Finding("age", None, f"measured on {made}; no end of validity stated")
    ends = date.fromisoformat(record.expires[:10])
    verdict: Verdict = "ok" if today <= ends else "weak"
    word = "valid until" if verdict == "ok" else "expired on"
    return Finding("age", verdict, f"measured on {made}; {word} {ends.isoformat()}")


def check_optics(record: CalibrationRecord, data: Optics) -> list[Finding]:
    """Pixel size, wavelength, NA and index, where the record states them.

    Parameters
    ----------
    data
        The same names for the data; what is missing there cannot be compared.
    """
    found = []
    for name, unit in _OPTICS.items():
        stated = record.conditions.get(name)
        if not isinstance(stated, (int, float)) or stated <= 0:
            continue
        if name not in data:
            found.append(Finding(name, None, f"record {stated:g} {unit}; the data do not say"))
            continue
        ratio = max(data[name] / stated, stated / data[name])
        text = f"record {stated:g} {unit}, data {data[name]:g} {unit}"
        found.append(Finding(name, _grade(ratio - 1.0, SAME, OTHER), text))
    return found


def check_camera(
    record: CalibrationRecord, frames: Iterator[np.ndarray], optics: Optics, dark: bool
) -> list[Finding]:
    """Size, offset and noise of frames against a camera record.

    Parameters
    ----------
    frames
        Counts (Y, X), at most the first 200 are read.
    optics
        pixel_um, na and emission_nm of the data, for the noise of lit frames.
    dark
        The frames were taken without light: offset and read noise are then measured.

    Raises
    ------
    InputError
        No frame, or fewer than ten dark ones.
    """
    found = camera_of(record, "", "")
    chosen = islice(frames, MAX_FRAMES)
    first = next(chosen, None)
    if first is None:
        raise InputError("There is no frame to compare.")
    shape = found.map_shape
    if shape not in (None, first.shape):
        return [Finding("size", "failed", f"record {shape}, data {first.shape}: another ROI")]
    size = Finding("size", "ok", f"{first.shape[0]} × {first.shape[1]} pixels")
    mask = record.quantities.get("mask")
    good = np.ones(first.shape, bool) if mask is None else np.asarray(mask.value) == 0

    def all_frames() -> Iterator[np.ndarray]:
        yield first
        yield from chosen

    if dark:
        return [size, *_dark(measure(all_frames()), found.camera, good)]
    return [size, *_lit(all_frames(), found.camera, good, optics)]


def _maps(camera: Camera, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Offset and read noise in ADU as maps."""
    read = np.asarray(camera.read_noise_e, np.float64) * np.asarray(camera.gain, np.float64)
    offset = np.asarray(camera.offset, np.float64)
    return np.broadcast_to(offset, shape), np.broadcast_to(read, shape)


def _dark(stack: Moments, camera: Camera, good: np.ndarray) -> list[Finding]:
    """Drift of offset and read noise, measured."""
    if stack.count < 10:
        raise InputError(
            "Too few dark frames to compare.", expected="at least 10", got=str(stack.count)
        )
    offset, read = _maps(camera, stack.mean.shape)
    typical = float(np.median(read[good]))
    drift = (stack.mean - offset)[good]
    moved = float(np.median(drift))
    pattern = 1.4826 * float(np.median(np.abs(drift - moved)))
    noise = float(np.sqrt(max(float(np.median(stack.variance[good])) - 1 / 12, 0.0)))
    if typical <= 0:
        raise InputError(
            "The record has no read noise to measure drift with.",
            expected="a read noise above 0", got=f"{typical:g} ADU",
            hint="measure the camera with dark and flat stacks (simcal camera)",
        )  # fmt: skip
    ratio = noise / typical
    change = max(ratio, 1.0 / ratio) if ratio else np.inf
    return [
        Finding(
            "offset", _grade(abs(moved) / typical, DRIFT_WEAK, DRIFT_FAILED),
            f"moved by {moved:+.3g} ADU ({moved / typical:+.2g} read noises; pixel by pixel "
            f"{pattern:.2g} ADU)",
        ),
        Finding(
            "read noise", _grade(change, NOISE_CHANGE_WEAK, NOISE_CHANGE_FAILED),
            f"{noise:.3g} ADU in the data, {typical:.3g} ADU in the record",
        ),
    ]  # fmt: skip


def _lit(
    frames: Iterator[np.ndarray], camera: Camera, good: np.ndarray, optics: Optics
) -> list[Finding]:
    """Counts below the offset, and the noise beyond the optical cut-off."""
    below = seen = 0
    ratios: list[float | None] = []
    needed = [name for name in ("pixel_um", "na", "emission_nm") if name not in optics]
    lowest = np.inf
    for frame in frames:
        offset, read = _maps(camera, frame.shape)
        noises = ((frame - offset) / np.maximum(read, 1e-9))[good]
        below += int(np.count_nonzero(noises < -BELOW[1]))
        lowest = min(lowest, float(np.percentile(noises, 1.0)))
        seen += noises.size
        if not needed:
            ratios.append(_noise_ratio(frame, camera, optics))
    share = below / seen
    verdict = _grade(share, BELOW[0], 0.5)
    text = (
        f"{100 * share:.2g} % of the pixels lie {BELOW[1]:g} read noises below the offset "
        f"(darkest percent at {lowest:+.2g})"
    )
    return [Finding("offset", verdict, text), _noise(ratios, needed)]


def _noise_ratio(frame: np.ndarray, camera: Camera, optics: Optics) -> float | None:
    """Measured over predicted white-noise variance of a frame in e², Hann²-weighted."""
    light = camera.electrons(frame)
    cutoff = 2.0 * optics["na"] / (optics["emission_nm"] / 1000.0)
    measured = noise_variance_beyond_cutoff(light, optics["pixel_um"], cutoff)
    if measured is None:
        return None
    weight = hann_window(*frame.shape) ** 2
    rounding = 1.0 / 12.0 if frame.dtype.kind in "ui" else 0.0
    read = np.asarray(camera.read_noise_e, np.float64) ** 2
    own = read + rounding / np.asarray(camera.gain, np.float64) ** 2
    # the mean light is clipped, not the pixels: noise around zero would count as light
    shot = max(float(np.mean(light * weight)), 0.0)
    return measured * float(np.mean(weight)) / (shot + float(np.mean(own * weight)))


def _noise(ratios: list[float | None], missing: list[str]) -> Finding:
    """Median over the frames of measured over predicted noise; limits of decision 0003."""
    if missing:
        options = " ".join(f"--{name.replace('_', '-')}" for name in missing)
        return Finding("noise", None, f"not compared: the data do not say {options}")
    known = [ratio for ratio in ratios if ratio is not None]
    if not known:
        return Finding("noise", None, "not compared: sampled too coarsely to see noise alone")
    ratio = float(np.median(known))
    verdict: Verdict = "ok"
    for limits, worse in ((NOISE_WEAK, "weak"), (NOISE_FAILED, "failed")):
        if not limits[0] <= ratio <= limits[1]:
            verdict = worse  # type: ignore[assignment]
    return Finding(
        "noise", verdict, f"{ratio:.3g} times the predicted variance beyond the optical cut-off"
    )

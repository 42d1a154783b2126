"""What a camera measurement says: maps, numbers and a verdict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from calibration.camera_checks import LightInDark
from calibration.linearity import linearity_errors_percent
from calibration.moments import Moments
from calibration.photon_transfer import Level, PhotonTransfer
from calibration.pixel_mask import describe_mask
from simrecon.io import Quantity
from simrecon.model.pattern import Verdict

ROUNDING_ADU2 = 1.0 / 12.0
"""Variance of rounding to whole counts, taken out of the read noise (as EMVA 1288 does)."""
CURVED_PERCENT, CURVED_SIGMA = 5.0, 3.0
"""Deviation of a level's gain, in % and in sigma, from which the camera counts as not linear."""
DRIFT_NOISES = 0.5
"""Range of the dark frame means, in read noises, from which the offset counts as drifting."""


@dataclass(frozen=True)
class CameraMeasurement:
    """All that was measured, for the record and the report.

    Attributes
    ----------
    dark : Moments
    levels : list of Level
        Used levels, dimmest first.
    transfer : PhotonTransfer
    mask : ndarray of uint8 (Y, X)
        Bits of :mod:`calibration.pixel_mask`.
    brightest : Moments
    light : LightInDark
    pattern : dict
        Fixed pattern and line noise.
    exposures : ndarray or None
        Of the used levels.
    notes : tuple of str
    """

    dark: Moments
    levels: list[Level]
    transfer: PhotonTransfer
    mask: np.ndarray
    brightest: Moments
    light: LightInDark
    pattern: dict[str, float]
    exposures: np.ndarray | None
    notes: tuple[str, ...]


def read_noise_adu(found: CameraMeasurement) -> np.ndarray:
    """Read noise of each pixel without the rounding to whole counts, ADU, shape (Y, X)."""
    return np.sqrt(np.maximum(found.dark.variance - ROUNDING_ADU2, 0.0))


def camera_maps(found: CameraMeasurement) -> dict[str, Quantity]:
    """Quantities of the record, maps in float32."""
    transfer, count = found.transfer, found.dark.count
    read_e = read_noise_adu(found) / transfer.gain_map
    read_sd = read_e * np.sqrt(0.5 / (count - 1) + (transfer.gain_map_sd / transfer.gain_map) ** 2)
    top = found.levels[-1]
    mean = float(top.signal.mean())
    response_sd = np.sqrt(top.variance / top.count + found.dark.variance / count) / mean
    table = np.stack(
        [transfer.level_signal, transfer.level_variance, transfer.level_gain,
         transfer.level_gain_sd], axis=1,
    )  # fmt: skip

    def single(values: np.ndarray) -> np.ndarray:
        return values.astype(np.float32)

    return {
        "gain": Quantity(
            single(transfer.gain_map), "ADU/e", single(transfer.gain_map_sd),
            "pixel gains drawn towards the common gain as far as their errors exceed their spread",
        ),
        "offset": Quantity(
            single(found.dark.mean), "ADU", single(np.sqrt(found.dark.variance / count)),
            "mean of the dark frames",
        ),
        "read_noise_e": Quantity(
            single(read_e), "e", single(read_sd), "temporal noise of the dark frames, not rounded"
        ),
        "mask": Quantity(found.mask, "", None, "bits: 1 hot offset, 2 noisy, 4 dead"),
        "response": Quantity(
            single(top.signal / mean), "", single(response_sd),
            "relative signal of the brightest flat: pixel response times illumination",
        ),
        "photon_transfer": Quantity(
            table, "", None,
            "per level: signal (ADU), variance above the dark one (ADU²), gain (ADU/e), its sd",
        ),
    }  # fmt: skip


def results(found: CameraMeasurement) -> dict[str, Any]:
    """Numbers of the measurement, JSON-ready."""
    transfer, good = found.transfer, found.mask == 0
    read = read_noise_adu(found)[good]
    rms = float(np.sqrt(np.mean(read**2)))
    rms_sd = rms * float(np.sqrt(0.5 / (found.dark.count - 1) / read.size))
    relative = float(np.hypot(rms_sd / rms, transfer.gain_sd / transfer.gain)) if rms else 0.0
    offset = found.dark.mean[good]
    response = None
    if found.exposures is not None and len(found.levels) >= 3:
        response = linearity_errors_percent(found.exposures, transfer.level_signal).tolist()
    return {
        "frames": {"dark": found.dark.count, "flat": [lv.count for lv in found.levels]},
        "shape": list(found.mask.shape),
        "gain": {"value": transfer.gain, "sd": transfer.gain_sd, "unit": "ADU/e"},
        "gain_spread": {"value": transfer.spread, "unit": "ADU/e",
                        "pixel_sd": float(np.median(transfer.pixel_sd[good]))},
        "offset": {"mean": float(offset.mean()), "sd_over_pixels": float(offset.std()),
                   "unit": "ADU"},
        "read_noise": {"rms": rms / transfer.gain, "rms_sd": rms / transfer.gain * relative,
                       "median": float(np.median(read)) / transfer.gain, "unit": "e"},
        "pixels": describe_mask(found.mask),
        "levels": [
            {"name": lv.name, "frames": lv.count, "signal_adu": s, "variance_adu2": v, "gain": g,
             "gain_sd": e, "deviation_percent": d, "flicker_percent": 100 * lv.flicker}
            for lv, s, v, g, e, d in zip(
                found.levels, transfer.level_signal.tolist(), transfer.level_variance.tolist(),
                transfer.level_gain.tolist(), transfer.level_gain_sd.tolist(),
                transfer.deviation_percent.tolist(), strict=True)
        ],
        "response_linearity_percent": response,
        "dark_drift_adu": float(np.ptp(found.dark.frame_means)),
        "light_in_dark_adu": {"value": found.light.adu, "sd": found.light.sd_adu},
        "fixed_pattern": found.pattern,
    }  # fmt: skip


def judge(found: CameraMeasurement) -> tuple[Verdict, tuple[str, ...]]:
    """Verdict of the measurement and the notes for the user."""
    transfer = found.transfer
    notes = list(found.notes)
    verdict: Verdict = "ok"
    pixel = float(np.median(transfer.pixel_sd[found.mask == 0]))
    error = f"a single pixel's gain is known to {100 * pixel / transfer.gain:.1f} %"
    if transfer.spread:
        weight = transfer.spread**2 / (transfer.spread**2 + pixel**2)
        notes.append(
            f"The gains differ by {100 * transfer.spread / transfer.gain:.2g} % between pixels and "
            f"{error}: pixel gains count by {weight:.2f}, the common gain by {1 - weight:.2f}."
        )
    else:
        notes.append(
            f"No difference of gain between pixels is above the errors ({error}): "
            "all pixels have the common gain."
        )
    off = np.abs(transfer.deviation_percent)
    if np.any((off > CURVED_PERCENT) & (off > CURVED_SIGMA * transfer.deviation_sd_percent)):
        verdict = "weak"
        notes.append(
            f"The photon transfer is not straight: levels deviate by up to {off.max():.1f} %."
        )
    drift, noise = (
        float(np.ptp(found.dark.frame_means)),
        float(np.sqrt(np.median(found.dark.variance))),
    )
    if drift > DRIFT_NOISES * noise:
        verdict = "weak"
        notes.append(
            f"The offset drifts: the dark frame means span {drift:.2g} ADU ({drift / noise:.1f} "
            "read noises); the read noise includes this drift."
        )
    flicker = max(lv.flicker for lv in found.levels)
    notes.append(f"Flicker of the light up to {100 * flicker:.2g} % rms, taken out.")
    return verdict, tuple(notes)

"""A pattern that varies over the field: whether it does, and in which terms it is told.

Frequency, phase, modulation and local deviation of a direction describe one thing,
``m c(r) exp(i(2π p·r + φ))``, and parts of it may be moved from one to the other. Told as follows:

``p``
    is the strongest frequency of the local carrier, weighted with the object's light and a Hann
    window over the field: where the cross-correlation of the windowed bands, which others report,
    has its peak. A phase that runs evenly over the field is thus a frequency, never a deviation.
    (The mean slope of the phase is no definition: where the contrast passes through zero it is not
    continuous. Without the window, the dim and bent borders decide.)
``φ``
    makes the mean of c, with the same weights, real and positive.
``m``
    is the rms contrast, weighted with the light: the light-weighted mean of |c|² is 1.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from simrecon.estimate.local import SmoothField, smooth_field
from simrecon.estimate.mixing import DirectionState
from simrecon.estimate.rows import BandImages
from simrecon.estimate.tiles import Tiles, measure_tiles
from simrecon.estimate.window import FieldWindow
from simrecon.model.local_field import LocalField, undone

LocalChoice = Literal["auto", "off", "on"]

LOCAL_NOTE = "the local pattern is used"
"""What every note on a local pattern holds."""

GAIN = 150.0
LEAST_RMS = 0.05
"""A field is used when twice its log likelihood exceeds a constant's by `GAIN` and the carrier
deviates by `LEAST_RMS` (rms, relative); less costs the picture nothing. Of 60 fits to even patterns
(five kinds of objects, 192 px, 30 to 1000 e, half of them with haze: bench_local_pattern) 2 exceed
both, with gains of 280 and 930: their carriers were doubtful (weak) anyway. Beads and blobs
otherwise reach 87, the rest 65."""
REACH_SAMPLES = 3.0
"""How far the frequency may move, DFT samples of the field."""
_FINE = 5


@dataclass(frozen=True)
class Deviation:
    """A direction whose pattern varies.

    Attributes
    ----------
    state : DirectionState
        The fitted one with its frequency, phase and modulation as defined above.
    local : LocalField
        Positions from the centre of the field.
    clear : bool
        False for a field that is taken only because it was insisted on.
    """

    state: DirectionState
    local: LocalField
    clear: bool

    def from_pixel_zero(self, window: FieldWindow) -> LocalField:
        """The field with positions from the centre of pixel (0, 0)."""
        cy, cx = window.centre_um
        return self.local.moved((-cy, -cx))

    @property
    def text(self) -> str:
        """How much it varies, for people."""
        found, left = self.local.summary(), self.local.tiles_rejected
        low, high = found["contrast_range"]
        return (
            ("the pattern varies" if self.clear else "the pattern does not vary clearly")
            + f" over the field (phase up to {found['max_phase_deviation_deg']:.0f}°, contrast "
            f"{low:.2f} to {high:.2f} of its rms): {LOCAL_NOTE}, "
            f"from {self.local.tiles_used - left} tiles"
            + (f", {left} more left out as outliers" if left else "")
        )


def find_deviation(
    images: BandImages,
    direction: int,
    state: DirectionState,
    variance_e2: np.ndarray,
    *,
    insist: bool,
    fit_frequency: bool,
) -> Deviation | None:
    """The local deviation of one direction; None when the pattern is the same everywhere.

    Parameters
    ----------
    images : BandImages
        Not yet corrected for any deviation.
    direction : int
    state : DirectionState
        Fit of the direction.
    variance_e2 : ndarray (P, Y, X)
        Noise variance of the direction's frames, e².
    insist : bool
        True takes the field whether it is significant or not.
    fit_frequency : bool
        False leaves the frequency as it is.
    """
    plain = replace(images, light={})
    tiles = measure_tiles(plain, direction, state, variance_e2)
    field = None if tiles is None else smooth_field(tiles, -np.inf if insist else GAIN)
    if tiles is None or field is None:
        return None
    clear = field.gain >= GAIN and field.rms >= LEAST_RMS
    if not insist and not clear:
        return None
    return _told(tiles, field, state, images.field.window, fit_frequency, clear=clear)


def _told(
    tiles: Tiles,
    field: SmoothField,
    state: DirectionState,
    window: FieldWindow,
    fit_frequency: bool,
    *,
    clear: bool,
) -> Deviation:
    """Move ramp, mean phase and rms contrast of the field into the state."""
    local = LocalField.of(tiles.y_um, tiles.x_um, field.values)
    y, x = (np.linspace(n[0], n[-1], _FINE * (n.size - 1) + 1) for n in (tiles.y_um, tiles.x_um))
    hann_y, hann_x = (np.cos(np.pi * n / (n[-1] - n[0])) ** 2 for n in (y, x))
    light = np.maximum(LocalField.of(tiles.y_um, tiles.x_um, tiles.light).at(y, x).real, 0.0)
    values = local.at(y, x)
    central = hann_y[:, None] * hann_x[None, :] * light
    step = np.zeros(2)
    if fit_frequency:
        step = _strongest(values * central, y, x, np.array(window.padded.extent_um))
    ramp = np.exp(-2j * np.pi * (step[0] * tiles.y_um[:, None] + step[1] * tiles.x_um[None, :]))
    fine = np.exp(-2j * np.pi * (step[0] * y[:, None] + step[1] * x[None, :]))
    mean = complex(np.sum(values * fine * central))
    turn = mean / max(abs(mean), 1e-30)
    rms = float(np.sqrt(np.sum(np.abs(values) ** 2 * light) / max(np.sum(light), 1e-30)))
    told = replace(
        state,
        frequency_per_um=state.frequency_per_um + step,
        phase_rad=state.phase_rad + float(np.angle(turn)),
        modulation=state.modulation * rms,
    )
    deviation = field.values * ramp * np.conj(turn) / rms
    return Deviation(
        told,
        LocalField.of(
            tiles.y_um, tiles.x_um, deviation, field.sd / rms, field.used, field.rejected
        ),
        clear,
    )


def _strongest(
    carrier: np.ndarray, y_um: np.ndarray, x_um: np.ndarray, extent_um: np.ndarray
) -> np.ndarray:
    """Frequency [fy, fx] of the largest Fourier component of `carrier` near 0, cycles/µm."""
    centre = np.zeros(2)
    reach = REACH_SAMPLES
    for _ in range(3):
        offsets = np.linspace(-reach, reach, 61)
        fy, fx = ((c + offsets) / e for c, e in zip(centre, extent_um, strict=True))
        wave_y = np.exp(-2j * np.pi * fy[:, None] * y_um)
        wave_x = np.exp(-2j * np.pi * x_um[:, None] * fx)
        power = np.abs(wave_y @ carrier @ wave_x)
        best = np.unravel_index(int(power.argmax()), power.shape)
        centre = centre + offsets[list(best)]
        reach = 2.0 * reach / 30.0
    return np.asarray(centre / extent_um)


@dataclass(frozen=True)
class Correction:
    """What undoes a deviation in the frames of a fit.

    Attributes
    ----------
    light : ndarray (MY, MX), complex64
        Factor on the carrier, scaled so that the noise of the bands stays as it is.
    gain : float
        The scale: the fit sees ``modulation / gain``.
    """

    light: np.ndarray
    gain: float

    @classmethod
    def of(cls, deviation: Deviation, images: BandImages) -> Correction:
        """On the coarse grid of `images`."""
        field = images.field
        inverse = undone(deviation.local.at(field.y_um, field.x_um))
        window = field.window
        weights = [
            np.interp(n, span, factor**2, left=0.0, right=0.0)
            for n, span, factor in (
                (field.y_um, window.y_um, window.wy),
                (field.x_um, window.x_um, window.wx),
            )
        ]
        power = float(weights[0] @ np.abs(inverse) ** 2 @ weights[1])
        gain = float(np.sqrt(power / (weights[0].sum() * weights[1].sum())))
        return cls((inverse / gain).astype(np.complex64), gain)

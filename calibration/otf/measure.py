"""From SIM recordings of beads to the OTFs of all orders: the one sequence, without files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from calibration.otf.carrier import Carrier, find_carrier
from calibration.otf.crops import BeadFrames, bead_frames, widefield
from calibration.otf.detection import (
    Detection,
    centred,
    fit_detection,
    measured_detection,
    otf_error,
)
from calibration.otf.gates import judge
from calibration.otf.light import Light, common_phase, light_along_z, plane_factors
from calibration.otf.separate import Separation, separate
from calibration.otf.settings import ORDERS, OtfSettings, check_frames
from calibration.otf.tables import (
    RadialTable,
    planar_table,
    radial_otf,
    radial_rows,
    volume_table,
    without_bead,
)
from calibration.psf.beadsize import compensate
from calibration.psf.measure import PsfMeasurement, measure_psf
from calibration.psf.settings import BeadSetup
from simrecon.checks import saturation
from simrecon.errors import InputError
from simrecon.model.camera import Camera
from simrecon.model.pattern import Verdict
from simrecon.model.psf import AnyOTF, AxialProfiles, GridOTF, RadialOTF
from simrecon.physics.bead_image import Camera3D, sphere_otf
from simrecon.physics.measured import otf_from_psf
from simrecon.physics.measured_volume import grid_volume_otf, radial_table
from simrecon.physics.otf import evaluate_otf
from simrecon.physics.pupil_volume import (
    light_reach,
    order_psfs,
    psf_volume,
    radial_planes,
)
from simrecon.physics.theory_volume import EXTENT_UM, axial_shift_per_um

_LOW_FREQUENCY_PER_UM = 0.3
PLACE_SD_UM = 0.0003
"""How far a bead may lie from where it seems to be, when the frequency gives its phase.

On simulated 2-D frames (9 beads of 1000 counts, seed 0, with and without coma) steps were off by
3.3° rms with free phases, by 2.9°, 2.0° and 1.5° with 2, 0.7 and 0.3 nm.
"""
_WAVE_ROUNDS = 3
_RING = 0.15
_PLANE_WINDOW_UM = 16.0
_FULL_HALF_UM = 3.0
_NOISE_AT = 0.1


@dataclass(frozen=True)
class OtfMeasurement:
    """What was found.

    Attributes
    ----------
    setup, settings
        What was asked for.
    beads : PsfMeasurement
        Every spot, and the mean bead of the sums of all frames.
    separations : tuple of Separation
        One per direction.
    carriers : tuple of (Carrier or None)
        Frequency of the pattern per direction, where the beads tell it.
    detection : Detection or None
        Fitted pupil, of beads with planes.
    light : Light or None
        Light of the orders along z, of volumes.
    contrast : ndarray, shape (A, orders − 1)
        Modulation of the orders, the size of the bead taken out where the frequency is known.
    contrast_sd : ndarray, shape (A, orders − 1)
    otf_sd : float
        Standard deviation of H where H(0) = 1, from noise: rms over the support for a pupil, of
        every frequency (before radial means) for measured beads.
    model : {"pupil", "measured"}
        What the OTF was made from.
    table : RadialTable
        Radial means of all orders.
    psfs : ndarray or None
        (A, orders, Z, Y, X), complex; of planes (A, 1, 1, Y, X); only where asked for.
    verdict, notes
        Overall, with reasons.
    """

    setup: BeadSetup
    settings: OtfSettings
    beads: PsfMeasurement
    separations: tuple[Separation, ...]
    carriers: tuple[Carrier | None, ...]
    detection: Detection | None
    light: Light | None
    contrast: np.ndarray
    contrast_sd: np.ndarray
    otf_sd: float
    model: str
    table: RadialTable
    psfs: np.ndarray | None
    verdict: Verdict
    notes: tuple[str, ...]

    @property
    def light_per_um(self) -> list[float]:
        """How far the light of every order reaches along kz, cycles/µm."""
        return [0.0] if self.light is None else light_reach(self.light.profiles)

    def otf(self) -> AnyOTF:
        """The OTF for :func:`simrecon.reconstruct`: the mean of all directions."""
        optics, source = self.setup.optics, f"beads, {self.model}"
        if self.settings.mode == "2d":
            if self.psfs is not None:
                return otf_from_psf(np.real(self.psfs.mean(axis=0)[0, 0]), self.setup.pixel_um,
                                    cutoff_per_um=optics.cutoff_per_um, source=source)  # fmt: skip
            return radial_otf(self.table, self.setup, source)
        assert self.setup.dz_um is not None
        if self.psfs is not None:
            return grid_volume_otf(
                self.psfs.mean(axis=0), self.setup.dz_um, self.setup.pixel_um, optics,
                light_per_um=self.light_per_um, source=source,
            )  # fmt: skip
        return radial_table(self.table.values, self.table.kr_step_per_um,
                            self.table.kz_step_per_um, optics=optics, source=source)  # fmt: skip

    def plane_psf(self) -> np.ndarray:
        """The PSF of a plane, (Y, X) float32, sum 1: that of the radial OTF, or as measured."""
        otf = self.otf()
        assert isinstance(otf, RadialOTF | GridOTF)
        if isinstance(otf, GridOTF):
            return otf.psf.astype(np.float32)
        side = 2 * int(np.ceil(_FULL_HALF_UM / self.setup.pixel_um)) + 1
        k = np.fft.fftfreq(2 * side, self.setup.pixel_um)
        picture = np.fft.fftshift(np.real(np.fft.ifft2(evaluate_otf(otf, k[:, None], k[None]))))
        middle, half = side, side // 2
        cut = picture[middle - half : middle + half + 1, middle - half : middle + half + 1]
        return np.asarray(cut / cut.sum(), dtype=np.float32)


def measure_otf(
    stacks: Sequence[np.ndarray],
    setup: BeadSetup,
    settings: OtfSettings,
    *,
    camera: Camera | None = None,
) -> OtfMeasurement:
    """Measure the OTF of every order of the pattern.

    Parameters
    ----------
    stacks
        One or more recordings of one shape, (A, P, Z, Y, X), counts.
    setup
        Instrument and sample; planes count deeper into the sample.
    settings
        Choices.
    camera
        For the noise; None: measured in the frames.

    Raises
    ------
    InputError
        Recordings of different shapes, too few phases or planes, not finite.
    QualityError
        No usable beads, a wrong scale, or phases that do not separate the orders.
    """
    data = _checked(stacks, setup, settings)
    setup = centred(setup)
    count = data[0].shape[0] * data[0].shape[1]
    found = _find_beads(data, setup, settings, camera)
    beads = bead_frames(data, found)
    orders = ORDERS[settings.mode]
    noise = found.noise.floor / count
    noise += found.noise.gain * _NOISE_AT * float(beads.frames.max())
    pairs = [_direction(beads, a, orders, noise, setup, settings) for a in range(len(data[0]))]
    separations, carriers = [p[0] for p in pairs], tuple(p[1] for p in pairs)
    volume = settings.mode != "2d"
    mean = np.real(np.sum([s.orders[0] for s in separations], axis=0)) * data[0].shape[1]
    error = found.aligned.standard_error
    detection = None
    if mean.shape[0] > 1 and settings.model != "measured":
        detection = fit_detection(mean, error, setup, settings.psf, sheet=settings.mode == "lls")
    pupil = detection is not None and (
        detection.fit.verdict != "failed" or settings.model == "pupil"
    )
    light = None
    if volume:
        if detection is None:
            picture, distance = measured_detection(mean, setup)
        else:
            picture, distance = detection.picture, detection.distance_um
        separations, light = _light(separations, picture, distance, setup, settings)
    else:
        separations = [_real_first_order(one) for one in separations]
    contrast = _contrast(separations, carriers, light, mean, setup)
    if detection is not None and pupil:
        sd = otf_error(detection.fit, settings.psf, mean.shape[0])
    else:
        sd = float(np.sqrt(np.sum(error**2)) / abs(np.sum(mean)))
    errors = {"contrast_sd": contrast * np.array([s.order_sd for s in separations]), "otf_sd": sd}
    parts: dict[str, Any] = {
        "setup": setup, "settings": settings, "beads": found, "separations": tuple(separations),
        "carriers": carriers, "detection": detection, "light": light, "contrast": contrast,
        "model": "pupil" if pupil else "measured",
    }  # fmt: skip
    table, psfs = _made(parts, mean, error, pupil)
    verdict, notes = judge(**parts)
    return OtfMeasurement(**parts, **errors, table=table, psfs=psfs, verdict=verdict,
                          notes=notes)  # fmt: skip


def _checked(
    stacks: Sequence[np.ndarray], setup: BeadSetup, settings: OtfSettings
) -> list[np.ndarray]:
    data = [np.asarray(s) for s in stacks]
    shapes = {d.shape for d in data}
    if len(shapes) != 1 or data[0].ndim != 5:
        raise InputError(
            "The recordings of beads have different shapes.",
            expected="one shape (directions, phases, planes, rows, columns)",
            got=", ".join(map(str, sorted(shapes))), hint="measure them one by one",
        )  # fmt: skip
    for d in data:
        if d.dtype.kind == "f" and not np.isfinite(d).all():
            raise InputError("The frames contain NaN or infinite values.")
    check_frames(settings.mode, data[0].shape, setup)
    return data


def _find_beads(
    data: list[np.ndarray], setup: BeadSetup, settings: OtfSettings, camera: Camera | None
) -> PsfMeasurement:
    """Detect, screen and align on the sums of all frames, which show no pattern."""
    count = data[0].shape[0] * data[0].shape[1]
    level = settings.psf.saturation
    if level is None:
        fraction, top = saturation(np.stack(data)[None])
        level = top if fraction > 0 else None
    sums, tops = zip(*(widefield(d, level) for d in data), strict=True)
    if camera is not None:
        camera = replace(camera, offset=np.asarray(camera.offset) * count,
                         read_noise_e=np.asarray(camera.read_noise_e) * np.sqrt(count))  # fmt: skip
    chosen = replace(settings.psf, terms=(), saturation=tops[0])
    if settings.mode == "lls" and chosen.depth_um is None:
        chosen = replace(chosen, depth_um=EXTENT_UM)  # the sheet's side lobes reach far
    if sums[0].shape[0] < 5 and sums[0].shape[0] > 1:
        raise InputError("Too few planes for a stack.", expected="1, or 5 and more",
                         got=f"{sums[0].shape[0]} planes")  # fmt: skip
    return measure_psf(sums, setup, chosen, camera=camera)


def _direction(
    beads: BeadFrames,
    direction: int,
    orders: int,
    noise: float,
    setup: BeadSetup,
    settings: OtfSettings,
) -> tuple[Separation, Carrier | None]:
    """Orders and frequency of one direction; the frequency then gives the beads' phases."""
    frames = beads.frames[:, direction]
    free = separate(frames, beads.amplitude, orders, noise)
    carrier = _carrier(free, beads, setup, settings)
    if carrier is None:
        return free, None
    held = free
    for _ in range(_WAVE_ROUNDS):
        wave = carrier.phases(beads.position_um[:, 1:], beads.stack)
        sd = 2.0 * np.pi * carrier.size_per_um * PLACE_SD_UM
        held = separate(frames, beads.amplitude, orders, noise, wave, sd)
        carrier = _carrier(held, beads, setup, settings) or carrier
    return held, carrier


def _carrier(
    found: Separation, beads: BeadFrames, setup: BeadSetup, settings: OtfSettings
) -> Carrier | None:
    optics = setup.optics
    top = optics.cutoff_per_um
    ring = (_LOW_FREQUENCY_PER_UM, 1.05 * top)
    if optics.pattern_frequency_per_um is not None and settings.mode != "lls":
        expected = optics.pattern_frequency_per_um / (ORDERS[settings.mode] - 1)
        ring = ((1 - _RING) * expected, (1 + _RING) * expected)
    return find_carrier(found.phase_rad, beads.position_um[:, 1:], beads.stack, ring)


def _light(
    separations: Sequence[Separation],
    picture: np.ndarray,
    distance_um: np.ndarray,
    setup: BeadSetup,
    settings: OtfSettings,
) -> tuple[list[Separation], Light]:
    """Put every direction on its common phase; light of the orders along z."""
    turned, factors = [], []
    for one in separations:
        seen, power = plane_factors(one.orders, picture)
        here = one.turned(common_phase(seen, power))
        turned.append(here)
        factors.append(plane_factors(here.orders, picture)[0])
    sheet = settings.mode == "lls"
    optics = setup.optics
    known = not sheet and optics.excitation_nm and optics.excitation_na
    light = light_along_z(
        factors, power, distance_um, sheet=sheet,
        expected_shift_per_um=axial_shift_per_um(optics) if known else None,
    )  # fmt: skip
    return turned, light


def _real_first_order(one: Separation) -> Separation:
    """On the common phase with which order 1 of a plane looks like order 0."""
    return one.turned(float(np.angle(np.sum(one.orders[1] * one.orders[0].real))))


def _contrast(
    separations: Sequence[Separation],
    carriers: Sequence[Carrier | None],
    light: Light | None,
    mean: np.ndarray,
    setup: BeadSetup,
) -> np.ndarray:
    """Modulation of every direction and order; what the bead's size takes off is given back."""
    found = []
    for a, (one, carrier) in enumerate(zip(separations, carriers, strict=True)):
        if light is None:
            zero = one.orders[0].real
            weight = np.sum(zero**2)
            seen = np.array([abs(np.sum(h * zero)) / weight for h in one.orders[1:]])
        else:
            seen = light.contrast[a]
        if carrier is not None:
            lateral = np.arange(1, len(one.orders)) * carrier.size_per_um
            axial = np.zeros(lateral.size)
            if light is not None and light.shift_per_um is not None:
                axial[0] = light.shift_per_um
            seen = seen / sphere_otf(np.hypot(lateral, axial), setup.bead_um)
        found.append(seen)
    return np.array(found)


def _made(
    parts: dict[str, Any], mean: np.ndarray, error: np.ndarray, pupil: bool
) -> tuple[RadialTable, np.ndarray | None]:
    """Radial table and, where asked for, the PSFs per direction."""
    setup, settings = parts["setup"], parts["settings"]
    if settings.mode == "2d":
        return _planar(parts["detection"] if pupil else None, mean, error, setup, settings)
    light: Light = parts["light"]
    if not pupil:
        return _measured_volume(parts, mean)
    fit = parts["detection"].fit
    psf = psf_volume(
        fit.setup.optics, pixel_um=setup.pixel_um, dz_um=setup.dz_um,
        aberrations_nm=fit.aberrations_nm, apodisation=fit.values.get("apodisation", 0.0),
        blur_um2=fit.values.get("blur_um2", 0.0), model=settings.psf.model,
    )  # fmt: skip
    rings = radial_planes(psf, setup.pixel_um, radial_rows(setup.pixel_um))
    heights = (np.arange(len(psf)) - len(psf) // 2) * setup.dz_um
    table = volume_table(light.profiles.at(-heights)[:, :, None] * rings, setup)
    if not settings.full:
        return table, None
    half = min(psf.shape[1] // 2, int(np.ceil(_FULL_HALF_UM / setup.pixel_um)))
    middle = psf.shape[1] // 2
    small = psf[:, middle - half : middle + half + 1, middle - half : middle + half + 1]
    each = [order_psfs(small, setup.dz_um, _of_direction(light, a, settings.mode == "lls"))
            for a in range(len(light.each))]  # fmt: skip
    return table, np.stack(each).astype(np.complex64)


def _of_direction(light: Light, direction: int, sheet: bool) -> AxialProfiles:
    """The mean profiles with the size and phase that one direction has of them."""
    if sheet:
        return light.profiles
    order = np.argsort(light.distance_um)
    z = light.distance_um[order]
    mean = light.profiles.at(z)
    own = light.each[direction][:, order]
    factor = np.sum(own * mean.conj(), axis=1) / np.sum(np.abs(mean) ** 2, axis=1)
    factor[0] = 1.0
    return replace(light.profiles, values=light.profiles.values * factor[:, None])


def _planar(
    detection: Detection | None,
    mean: np.ndarray,
    error: np.ndarray,
    setup: BeadSetup,
    settings: OtfSettings,
) -> tuple[RadialTable, np.ndarray | None]:
    """OTF of a plane: all orders have the same."""
    if detection is not None:
        fit = detection.fit
        half = int(np.ceil(0.5 * _PLANE_WINDOW_UM / setup.pixel_um))
        camera = Camera3D((2 * half + 1,) * 2, setup.pixel_um, (0.0,),
                          setup.optics.pixel_integration)  # fmt: skip
        psf = camera.image(fit.setup.optics, aberrations_nm=fit.aberrations_nm,
                           apodisation=fit.values.get("apodisation", 0.0),
                           blur_um2=fit.values.get("blur_um2", 0.0),
                           model=settings.psf.model)[0]  # fmt: skip
        table = planar_table(psf, setup, None)
    else:
        clean = compensate(mean, error, setup)
        psf = clean[int(np.argmax(clean.max(axis=(1, 2))))]
        table = planar_table(psf, setup, psf.shape[0] * setup.pixel_um)
    return table, psf[None, None, None].astype(np.complex64) if settings.full else None


def _measured_volume(
    parts: dict[str, Any], mean: np.ndarray
) -> tuple[RadialTable, np.ndarray | None]:
    """The mean beads of all orders themselves, focus on the middle plane."""
    setup, settings, light = parts["setup"], parts["settings"], parts["light"]
    middle = int(np.argmin(np.abs(light.distance_um)))
    reach = min(middle, mean.shape[0] - 1 - middle)
    planes = slice(middle - reach, middle + reach + 1)
    each = []
    for one, carrier in zip(parts["separations"], parts["carriers"], strict=True):
        p = (0.0, 0.0) if carrier is None else carrier.frequency_per_um
        each.append([without_bead(h, m, p, setup)[planes] for m, h in enumerate(one.orders)])
    psfs = (
        np.array(each)
        / np.real(np.sum(np.array(each)[:, 0], axis=(1, 2, 3)))[:, None, None, None, None]
    )
    rows = radial_rows(setup.pixel_um)
    rings = np.stack([radial_planes(h, setup.pixel_um, rows) for h in psfs.mean(axis=0)])
    return volume_table(rings, setup), psfs if settings.full else None

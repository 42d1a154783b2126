"""Noise-free raw frames of a known volume: light it, blur it, sample it.

The pattern stays with the focal plane. A plane at z_i sees an emitter at depth z_e under the light
of depth z_e − z_i, so that order m of the light acts through ``h_m(r) = h(r) g_m(−z)``:

    D(r, z_i) = Re Σ_m c_m exp(i m φ) · [h_m ⊛ (S exp(2πi m p·r))](r, z_i)

An object that lies u beside its place, because it drifts or because a stage carries it through the
focal plane at an angle, gives the same picture moved by u and its orders turned by m·2π p·u.
Spectra are kept only where the OTF passes them. This shares no code with the reconstruction.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.fft

from simrecon.backend import usable_cores
from simrecon.errors import UsageError
from simrecon.model.grid import VolumeGrid
from simrecon.model.pattern import DirectionPattern
from simrecon.model.psf import VolumeOTF
from simrecon.physics.otf_volume import evaluate_volume_otf
from simrecon.physics.phantoms_volume import Box

_LINES_PER_BLOCK = 8192


@dataclass(frozen=True)
class VolumeField:
    """The object's volume: what the planes of the camera see, and a margin around it.

    Attributes
    ----------
    camera : VolumeGrid
        Raw grid; voxel (0, 0, 0) is the origin. Its shear is that of the scan.
    fine, fine_z : int
        Fine pixels per camera pixel, fine planes per plane.
    margin_um : float
        Object beyond the planes and the field on every side.
    reach_um : float
        How far light from a plane goes along z (half the length of the PSF).
    """

    camera: VolumeGrid
    fine: int
    fine_z: int
    margin_um: float
    reach_um: float

    def __post_init__(self) -> None:
        if self.fine < 1 or self.fine_z < 1 or self.margin_um < 0 or not self.reach_um > 0:
            raise UsageError("fine and fine_z must be at least 1, margins not negative.")

    @property
    def depth_um(self) -> float:
        """From the first plane to the last, µm."""
        return (self.camera.shape[0] - 1) * self.camera.dz_um

    @cached_property
    def lead_px(self) -> tuple[int, int]:
        """Camera pixels of object before row and column 0."""
        return self._lateral_px(0, True), self._lateral_px(1, True)

    @cached_property
    def padded_px(self) -> tuple[int, int]:
        """Camera pixels of the padded field, sizes that transform quickly."""
        sizes = [
            self.camera.shape[1 + axis] + self.lead_px[axis] + self._lateral_px(axis, False)
            for axis in (0, 1)
        ]
        return scipy.fft.next_fast_len(sizes[0]), scipy.fft.next_fast_len(sizes[1])

    def _lateral_px(self, axis: int, before: bool) -> int:
        travel = self.camera.shear[axis] * self.depth_um
        extra = max(0.0, -travel) if before else max(0.0, travel)
        return int(np.ceil((self.margin_um + extra) / self.camera.pixel_um))

    @cached_property
    def lead_planes(self) -> int:
        """Fine planes of object before plane 0."""
        return int(np.ceil(self.margin_um / self.fine_dz_um))

    @property
    def fine_dz_um(self) -> float:
        """Distance of the fine planes, µm."""
        return self.camera.dz_um / self.fine_z

    @property
    def planes(self) -> int:
        """Fine planes that hold object."""
        return (self.camera.shape[0] - 1) * self.fine_z + 1 + 2 * self.lead_planes

    @property
    def period(self) -> int:
        """Fine planes after which the field may repeat without one plane seeing it twice."""
        farthest = self.depth_um + self.lead_planes * self.fine_dz_um
        needed = int(np.ceil((farthest + self.reach_um) / self.fine_dz_um)) + 1
        return int(scipy.fft.next_fast_len(max(needed, self.planes)))

    @property
    def box(self) -> Box:
        """Voxels of the object."""
        c = self.camera
        pitch = c.pixel_um / self.fine
        half = (0.5 / self.fine - 0.5) * c.pixel_um + c.offset_um
        (top, left), (rows, columns) = self.lead_px, self.padded_px
        depth = -self.lead_planes * self.fine_dz_um
        return Box(
            shape=(self.planes, rows * self.fine, columns * self.fine),
            origin_um=(depth, half - top * c.pixel_um, half - left * c.pixel_um),
            pitch_um=(self.fine_dz_um, pitch, pitch),
        )


class OrderSpectra:
    """Spectra of the images of all orders, plane by plane, for one direction of the pattern.

    Parameters
    ----------
    field
        Where the object is given.
    otf
        Of all orders that the light has.
    """

    def __init__(self, field: VolumeField, otf: VolumeOTF) -> None:
        self._field = field
        self._otf = otf
        rows, columns = field.box.shape[1:]
        pitch = field.box.pitch_um[1]
        ky = scipy.fft.fftfreq(rows, pitch)[:, None]
        kx = scipy.fft.fftfreq(columns, pitch)[None, :]
        self._inside = np.nonzero(np.hypot(ky, kx) < otf.cutoff_per_um)
        self._ky, self._kx = ky[self._inside[0], 0], kx[0, self._inside[1]]
        # from the centre of the first fine pixel in a camera pixel to the centre of that
        to_centre = (0.5 - 0.5 / field.fine) * field.camera.pixel_um
        self._to_centre = np.exp(2j * np.pi * to_centre * (self._ky + self._kx))
        coarse = field.padded_px
        self._bin = (self._inside[0] % coarse[0]) * coarse[1] + self._inside[1] % coarse[1]
        # frequencies beyond the camera's Nyquist frequency fall on others, as they do in a camera
        self._folds = np.unique(self._bin).size < self._bin.size

    def of_order(
        self, density: np.ndarray, order: int, frequency_per_um: tuple[float, float]
    ) -> np.ndarray:
        """Spectrum (Z, points) of ``h_m ⊛ (S exp(2πi m p·r))`` in every plane, complex64.

        Parameters
        ----------
        density : ndarray on ``field.box``, float32
        order
            m, 0 or more.
        frequency_per_um
            p = (fy, fx).
        """
        box = self._field.box
        if density.shape != box.shape:
            raise UsageError(
                "The object is not on the fine grid.",
                expected=str(box.shape),
                got=str(density.shape),
            )
        waves = []
        for axis, f in enumerate(frequency_per_um, start=1):
            r = box.origin_um[axis] + box.pitch_um[axis] * np.arange(box.shape[axis])
            waves.append(np.exp(2j * np.pi * order * f * r).astype(np.complex64))
        lines = np.empty((box.shape[0], self._ky.size), dtype=np.complex64)
        for z in range(box.shape[0]):
            plane = density[z].astype(np.complex64)
            if order:
                plane *= waves[0][:, None]
                plane *= waves[1][None, :]
            spectrum = scipy.fft.fft2(plane, workers=usable_cores(), overwrite_x=True)
            lines[z] = spectrum[self._inside]
        return self._seen(lines, order)

    def _seen(self, lines: np.ndarray, order: int) -> np.ndarray:
        """Multiply by the OTF along z and keep the camera's planes."""
        field = self._field
        kz = scipy.fft.fftfreq(field.period, field.fine_dz_um)[:, None, None]
        planes = field.lead_planes + field.fine_z * np.arange(field.camera.shape[0])
        out = np.empty((planes.size, lines.shape[1]), dtype=np.complex64)
        for start in range(0, lines.shape[1], _LINES_PER_BLOCK):
            part = slice(start, start + _LINES_PER_BLOCK)
            ky, kx = self._ky[None, None, part], self._kx[None, None, part]
            transfer = evaluate_volume_otf(self._otf, order, kz, ky, kx)[:, 0]
            spectrum = scipy.fft.fft(lines[:, part], n=field.period, axis=0)
            spectrum *= transfer
            seen = scipy.fft.ifft(spectrum, axis=0)[planes]
            out[:, part] = seen * self._to_centre[part]
        return out

    def image(self, spectrum: np.ndarray, shift_um: tuple[float, float] = (0.0, 0.0)) -> np.ndarray:
        """Picture (Y, X) of the camera from the spectrum (points,) of one plane, moved; float32."""
        field = self._field
        if shift_um != (0.0, 0.0):
            turn = np.exp(-2j * np.pi * (self._ky * shift_um[0] + self._kx * shift_um[1]))
            spectrum = spectrum * turn
        folded = np.zeros(field.padded_px[0] * field.padded_px[1], dtype=np.complex64)
        if self._folds:
            np.add.at(folded, self._bin, spectrum.astype(np.complex64))
        else:
            folded[self._bin] = spectrum
        picture = scipy.fft.ifft2(folded.reshape(field.padded_px)).real
        (top, left), (rows, columns) = field.lead_px, field.camera.shape[1:]
        cut = picture[top : top + rows, left : left + columns]
        return np.asarray(cut / field.fine**2, dtype=np.float32)


def frame(
    spectra: OrderSpectra,
    orders: list[np.ndarray],
    pattern: DirectionPattern,
    phase_rad: float,
    shift_um: tuple[float, float],
) -> np.ndarray:
    """One noise-free frame (Y, X) under light of unit brightness.

    Parameters
    ----------
    spectra
        Turns spectra into pictures.
    orders : list of ndarray (points,)
        Spectra of order 0, 1, … in this plane.
    pattern
        Its frequency and the contrast of every order.
    phase_rad
        Phase of the fundamental at the origin.
    shift_um
        Displacement (y, x) of the object.
    """
    fy, fx = pattern.frequency_per_um
    turn = phase_rad + 2.0 * np.pi * (fy * shift_um[0] + fx * shift_um[1])
    total = orders[0].copy()
    for m, (contrast, spectrum) in enumerate(zip(pattern.modulation, orders[1:], strict=True), 1):
        total += np.complex64(contrast * np.exp(1j * m * turn)) * spectrum
    return spectra.image(total, shift_um)

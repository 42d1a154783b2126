"""SIM frames of beads, order by order in Fourier space.

A bead at r_i is lit by order m with the phase 2πm p·r_i, which runs over the bead as well:

    order m of bead i = a_i exp(2πi m p·r_i) ∫ H_m(k) B(|k − m p|) exp(2πi k·(r − r_i)) dk

with B the sphere's transform. Nothing is sampled finer than the camera, and no code is shared with
what measures OTFs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from simrecon.errors import UsageError
from simrecon.model.camera import Camera
from simrecon.model.pattern import DirectionPattern
from simrecon.model.psf import AnyOTF, GridVolumeOTF, RadialVolumeOTF
from simrecon.physics.bead_image import sphere_otf
from simrecon.physics.exposure import expose
from simrecon.physics.otf import evaluate_otf
from simrecon.physics.otf_volume import evaluate_volume_otf
from simrecon.physics.simulate_beads import Bead

_KZ_PER_DEPTH = 2.0
_PSF_REACH_UM = 8.0


def simulate_sim_beads(
    beads: Sequence[Bead],
    directions: Sequence[DirectionPattern],
    otf: AnyOTF,
    *,
    shape: tuple[int, int, int],
    pixel_um: float,
    dz_um: float | None,
    bead_um: float = 0.1,
    background_e: float = 10.0,
    camera: Camera | None = None,
    bit_depth: int = 16,
    window_px: int = 128,
    seed: int = 0,
) -> np.ndarray:
    """Counts of beads under the light of a pattern that stays with the focal plane.

    Parameters
    ----------
    beads
        Positions (z, y, x), plane 0 at z = 0, growing deeper; `flux_e` per frame under order 0.
        `drift` is ignored.
    directions
        Pattern, one per direction; phases refer to pixel (0, 0).
    otf
        A planar OTF serves all orders and ignores z; one of a volume has its own for each order.
    shape
        (planes, rows, columns).
    background_e
        Light that is not modulated, photo-electrons per frame and pixel.
    window_px
        Each bead's light is drawn on this many pixels around it, an even number; light that would
        leave the window comes back at its other side.

    Returns
    -------
    ndarray, shape (A, P, Z, Y, X), uint16
    """
    volume = isinstance(otf, RadialVolumeOTF | GridVolumeOTF)
    if volume != (shape[0] > 1) or (volume and dz_um is None):
        raise UsageError("Planes and OTF do not belong together.", got=f"{shape[0]} planes",
                         expected="one plane with a planar OTF, or planes with one of a volume",
                         )  # fmt: skip
    phases = len(directions[0].phase_rad)
    expected = np.full((len(directions), phases, *shape), float(background_e))
    k = np.fft.fftfreq(window_px, pixel_um)
    ky, kx = k[:, None], k[None, :]
    for a, direction in enumerate(directions):
        stars = _Window(otf, direction, ky, kx, shape[0], pixel_um, dz_um, bead_um)
        for bead in beads:
            corner = [round(v / pixel_um) - window_px // 2 for v in bead.position_um[1:]]
            orders = stars.orders(bead, [c * pixel_um for c in corner])
            for j, (phase, brightness) in enumerate(
                zip(direction.phase_rad, direction.intensity, strict=True)
            ):
                picture = orders[0].real.copy()
                for m, contrast in enumerate(direction.modulation, start=1):
                    picture += contrast * np.real(np.exp(1j * m * phase) * orders[m])
                _place(expected[a, j], bead.flux_e * brightness * picture, corner)
    camera = camera or Camera(2.0, 100.0, 1.5, source="simulated")
    rng = np.random.default_rng(seed)
    return expose(np.maximum(expected, 0.0), camera, rng, bit_depth=bit_depth)[0]


class _Window:
    """What the orders of one direction look like in a window around a bead."""

    def __init__(
        self,
        otf: AnyOTF,
        direction: DirectionPattern,
        ky: np.ndarray,
        kx: np.ndarray,
        planes: int,
        pixel_um: float,
        dz_um: float | None,
        bead_um: float,
    ) -> None:
        self._p = direction.frequency_per_um
        self._k = ky, kx
        self._bead_um = bead_um
        self._z = np.arange(planes) * (dz_um or 0.0)
        count = 1 + len(direction.modulation)
        if dz_um is None:
            self._kz = np.zeros(1)
            plain = evaluate_otf(otf, ky, kx).astype(np.complex128)  # type: ignore[arg-type]
            self._spectra = [plain[None]] * count
            self._weight = 1.0
        else:
            depth = planes * dz_um + _PSF_REACH_UM
            top = max(otf.axial_cutoff_per_um)  # type: ignore[union-attr]
            half = int(np.ceil(top * depth * _KZ_PER_DEPTH))
            self._kz = np.arange(-half, half + 1) / (depth * _KZ_PER_DEPTH)
            self._weight = float(self._kz[1] - self._kz[0])
            self._spectra = [
                evaluate_volume_otf(otf, m, self._kz[:, None, None], ky, kx)  # type: ignore[arg-type]
                for m in range(count)
            ]
            peak = _flux_per_plane(self._spectra[0][:, 0, 0], self._kz) * self._weight
            self._weight /= peak
        self._inside = np.nonzero(np.abs(self._spectra[0]).sum(axis=0) > 0)
        self._spheres: dict[float, list[np.ndarray]] = {}

    def _blurred(self, diameter_um: float) -> list[np.ndarray]:
        """Spectra of all orders of a sphere, (K, points inside the support)."""
        if diameter_um not in self._spheres:
            rows, columns = self._inside
            ky, kx = self._k[0][rows, 0], self._k[1][0, columns]
            found = []
            for m, spectrum in enumerate(self._spectra):
                fy, fx = (m * f for f in self._p)
                radius = np.sqrt(self._kz[:, None] ** 2 + (ky - fy) ** 2 + (kx - fx) ** 2)
                found.append(spectrum[:, rows, columns] * sphere_otf(radius, diameter_um))
            self._spheres[diameter_um] = found
        return self._spheres[diameter_um]

    def orders(self, bead: Bead, corner_um: Sequence[float]) -> list[np.ndarray]:
        """Orders 0, 1, … of a bead of flux 1 in every plane, (Z, N, N) complex."""
        z, y, x = bead.position_um
        ky, kx = self._k
        away = np.exp(-2j * np.pi * (ky * (y - corner_um[0]) + kx * (x - corner_um[1])))
        waves = np.exp(2j * np.pi * self._kz * (self._z - z)[:, None])
        out = []
        diameter = self._bead_um if bead.diameter_um is None else bead.diameter_um
        for m, seen in enumerate(self._blurred(diameter)):
            fy, fx = (m * f for f in self._p)
            planes = np.zeros((waves.shape[0], *away.shape), complex)
            planes[:, self._inside[0], self._inside[1]] = waves @ seen
            turn = np.exp(2j * np.pi * (fy * y + fx * x))
            out.append(turn * self._weight * np.fft.ifft2(planes * away))
        return out


def _flux_per_plane(spectrum: np.ndarray, kz: np.ndarray) -> float:
    """Light of the brightest plane of order 0, from its OTF at kr = 0."""
    z = np.linspace(-0.5, 0.5, 101)
    return float(np.max(np.abs(np.exp(2j * np.pi * kz * z[:, None]) @ spectrum)))


def _place(frames: np.ndarray, picture: np.ndarray, corner: Sequence[int]) -> None:
    """Add a window (Z, N, N) where it belongs; what lies outside the camera is lost."""
    inside, source = [], []
    for c, n, size in zip(corner, picture.shape[1:], frames.shape[1:], strict=True):
        first, last = max(c, 0), min(c + n, size)
        if first >= last:
            return
        inside.append(slice(first, last))
        source.append(slice(first - c, last - c))
    frames[:, inside[0], inside[1]] += picture[:, source[0], source[1]]


def lit_beads(beads: Sequence[Bead], peak_e: float, otf: AnyOTF, **window: float) -> list[Bead]:
    """Beads scaled so that the median one has `peak_e` in its brightest pixel under order 0.

    `window` holds pixel_um, bead_um, and for volumes dz_um.
    """
    pixel_um, dz_um = window["pixel_um"], window.get("dz_um")
    k = np.fft.fftfreq(64, pixel_um)
    plain = DirectionPattern((0.0, 0.0), (0.0,), (), (1.0,))
    stars = _Window(otf, plain, k[:, None], k[None, :], 1, pixel_um, dz_um, window["bead_um"])
    top = float(stars.orders(Bead((0.0, 0.0, 0.0), 1.0), (-32 * pixel_um,) * 2)[0].real.max())
    middle = float(np.median([b.flux_e for b in beads]))
    return [replace(b, flux_e=b.flux_e / middle * peak_e / top) for b in beads]

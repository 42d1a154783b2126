"""OTFs as values: radial tables, or measured PSFs on a grid; of a plane, or of a volume.

They say what ``H(ky, kx)``, or ``H_m(kz, ky, kx)`` of every order m of a pattern, is in physical
units; :mod:`simrecon.physics` evaluates them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from simrecon.errors import UsageError


@dataclass(frozen=True)
class RadialOTF:
    """A rotationally symmetric two-dimensional OTF.

    Attributes
    ----------
    k_per_um : ndarray, shape (n,)
        Increasing radial frequencies from 0, cycles/µm.
    values : ndarray, shape (n,)
        Real OTF values, ``values[0] == 1``; zero from `cutoff_per_um` on.
    cutoff_per_um : float
        Radius beyond which the OTF is exactly zero.
    pixel_um : float or None
        When not None, the camera's pixel pitch whose square-pixel sinc multiplies the table.
    source : str
        How it was made, for provenance.
    """

    k_per_um: np.ndarray
    values: np.ndarray
    cutoff_per_um: float
    pixel_um: float | None = None
    source: str = ""


@dataclass(frozen=True)
class GridOTF:
    """An OTF given by a point-spread function on a grid (measured, possibly asymmetric).

    Attributes
    ----------
    psf : ndarray, shape (Y, X)
        Point-spread function, sum 1, centred on pixel (Y//2, X//2). It contains whatever
        pixel integration its camera did.
    pixel_um : float
        Pitch of `psf` in µm.
    cutoff_per_um : float
        Radius beyond which the OTF is set to zero, cycles/µm.
    source : str
        How it was made, for provenance.
    """

    psf: np.ndarray
    pixel_um: float
    cutoff_per_um: float
    source: str = ""


DetectionOTF = RadialOTF | GridOTF


@dataclass(frozen=True)
class RadialVolumeOTF:
    """Three-dimensional OTFs of all orders of a pattern, symmetric about the optical axis.

    Order m is the detection PSF times the axial profile of that order of the light,
    ``h_m(r) = h(r) g_m(−z)``: the pattern stays with the focal plane
    (physics.md §2), and the plane at z sees an emitter at 0 from the distance −z. Its contrast is
    not part of it.

    Attributes
    ----------
    kr_per_um : ndarray, shape (R,)
        Increasing lateral radii from 0, cycles/µm.
    kz_per_um : ndarray, shape (K,)
        Increasing axial frequencies on both sides of 0, cycles/µm.
    values : ndarray, shape (orders, R, K), complex
        ``H_m(kr, kz)``; ``H_0(0, 0) == 1``. Beyond the table: 0.
    cutoff_per_um : float
        Lateral radius beyond which every order is exactly zero.
    axial_cutoff_per_um : tuple of float, one per order
        ``|kz|`` beyond which that order is exactly zero.
    pixel_um : float or None
        When not None, the camera's pixel pitch whose square-pixel sinc multiplies the table.
    source : str
        How it was made, for provenance.
    """

    kr_per_um: np.ndarray
    kz_per_um: np.ndarray
    values: np.ndarray
    cutoff_per_um: float
    axial_cutoff_per_um: tuple[float, ...]
    pixel_um: float | None = None
    source: str = ""

    @property
    def orders(self) -> int:
        """Number of orders, 0 included."""
        return int(self.values.shape[0])


@dataclass(frozen=True)
class GridVolumeOTF:
    """Three-dimensional OTFs given by the orders' PSFs on a grid (measured, or not symmetric).

    Attributes
    ----------
    psf : ndarray, shape (orders, Z, Y, X), real or complex
        ``h_m``; order 0 sums to 1; the centre is voxel (Z//2, Y//2, X//2).
    dz_um, pixel_um : float
        Pitches of `psf`, µm.
    cutoff_per_um : float
        Lateral radius beyond which every order is set to zero, cycles/µm.
    axial_cutoff_per_um : tuple of float, one per order
        ``|kz|`` beyond which that order is set to zero.
    source : str
        How it was made, for provenance.
    """

    psf: np.ndarray
    dz_um: float
    pixel_um: float
    cutoff_per_um: float
    axial_cutoff_per_um: tuple[float, ...]
    source: str = ""

    @property
    def orders(self) -> int:
        """Number of orders, 0 included."""
        return int(self.psf.shape[0])


VolumeOTF = RadialVolumeOTF | GridVolumeOTF


@dataclass(frozen=True)
class DirectionalVolumeOTF:
    """An OTF of its own for every direction of the pattern, as bead scans of each give them.

    Attributes
    ----------
    directions : tuple of VolumeOTF
        In the order of the pattern's directions; all with the same orders.
    """

    directions: tuple[VolumeOTF, ...]

    def __post_init__(self) -> None:
        orders = {one.orders for one in self.directions}
        if len(orders) != 1:
            raise UsageError(
                "The OTFs of the directions need the same orders.",
                expected="one OTF or more, of equal orders",
                got=", ".join(str(one.orders) for one in self.directions) or "none",
            )

    @property
    def orders(self) -> int:
        """Number of orders, 0 included."""
        return self.directions[0].orders

    @property
    def cutoff_per_um(self) -> float:
        """The largest lateral cut-off."""
        return max(one.cutoff_per_um for one in self.directions)

    @property
    def axial_cutoff_per_um(self) -> tuple[float, ...]:
        """The largest axial cut-off of every order."""
        orders = zip(*(one.axial_cutoff_per_um for one in self.directions), strict=True)
        return tuple(max(one) for one in orders)

    @property
    def source(self) -> str:
        """How they were made."""
        return " | ".join(one.source for one in self.directions)


AnyVolumeOTF = VolumeOTF | DirectionalVolumeOTF
AnyOTF = DetectionOTF | AnyVolumeOTF


def of_direction(otf: AnyVolumeOTF, direction: int) -> VolumeOTF:
    """The OTF that belongs to one direction of the pattern."""
    return otf.directions[direction] if isinstance(otf, DirectionalVolumeOTF) else otf


@dataclass(frozen=True)
class AxialProfiles:
    """Light of every order of a pattern along the detection axis, relative to the focal plane.

    Attributes
    ----------
    z_um : ndarray, shape (Z,)
        Equally spaced distances of the lit point from the focal plane of the detection, µm;
        positive deeper in the sample.
    values : ndarray, shape (orders, Z), real or complex
        g_m(z); the contrast of an order is not part of it. Beyond `z_um`: 0.
    source : str
        How it was made, for provenance.
    """

    z_um: np.ndarray
    values: np.ndarray
    source: str = ""

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or self.values.shape[1] != self.z_um.size or self.z_um.size < 4:
            raise UsageError(
                "Axial profiles need one row per order over their distances.",
                expected=f"(orders, {self.z_um.size})",
                got=str(self.values.shape),
            )
        if not np.allclose(np.diff(self.z_um), self.z_um[1] - self.z_um[0]):
            raise UsageError("The distances of axial profiles must be equally spaced.")

    def at(self, z_um: np.ndarray) -> np.ndarray:
        """Profiles at other distances, (orders, len(z)), linear between samples."""
        real = [np.interp(z_um, self.z_um, g.real, 0.0, 0.0) for g in self.values]
        if not np.iscomplexobj(self.values):
            return np.stack(real)
        imag = [np.interp(z_um, self.z_um, g.imag, 0.0, 0.0) for g in self.values]
        return np.stack(real) + 1j * np.stack(imag)

    def moved(self, distance_um: float) -> AxialProfiles:
        """The sheet displaced by a distance from the focal plane: g_m(z − distance)."""
        return replace(self, z_um=self.z_um + distance_um)


def centred_crop(psf: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The middle of a PSF (Y, X) or (Z, Y, X): pixel N//2 stays pixel N//2.

    Raises
    ------
    UsageError
        When `shape` is larger than the PSF.
    """
    start = [n // 2 - m // 2 for n, m in zip(psf.shape, shape, strict=True)]
    if min(start) < 0:
        raise UsageError(
            "The PSF crop is larger than the field.",
            expected=f"at most {psf.shape}",
            got=str(shape),
        )
    return psf[tuple(slice(s, s + m) for s, m in zip(start, shape, strict=True))]

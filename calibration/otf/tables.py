"""From the pictures of the orders to OTFs: bead size, origin, support, radial means."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from calibration.psf.settings import BeadSetup
from simrecon.model.psf import RadialOTF
from simrecon.physics.bead_image import sphere_otf
from simrecon.physics.otf import evaluate_otf, theoretical_otf
from simrecon.physics.pupil_volume import radial_orders, radial_planes

ORIGIN_WINDOWS = 1.5
"""Frequencies below this many times 1/window are spoiled by what the window cuts off."""
ORIGIN_FROM = 2.4
"""They are extrapolated from those up to so many times the first good one."""
_LEAST_TRANSMISSION = 0.1
_RADIAL_SPAN_UM = 40.0
_PLANES_FACTOR = 2
_TAIL_FROM = 0.9


@dataclass(frozen=True)
class RadialTable:
    """Per-order OTF as bead programs keep it.

    Attributes
    ----------
    values : ndarray, shape (orders, R, K), complex64
        ``H_m(kr, kz)``, kz in FFT order, H_0(0, 0) = 1; the contrast of the orders is in it.
    kr_step_per_um, kz_step_per_um : float
        ``1/(2·pixel·(R − 1))`` and ``1/(K·dz)``; of a plane K = 1 and the second step 0.
    """

    values: np.ndarray
    kr_step_per_um: float
    kz_step_per_um: float


def radial_rows(pixel_um: float) -> int:
    """Radii of a table: steps of 1/40 µm⁻¹, so that reading between them keeps 5 µm of PSF."""
    return 1 + max(32, int(np.ceil(0.5 * _RADIAL_SPAN_UM / pixel_um)))


def volume_table(planes: np.ndarray, setup: BeadSetup) -> RadialTable:
    """Radial table from the radial planes (orders, Z, R) of all orders."""
    assert setup.dz_um is not None
    heights = _PLANES_FACTOR * planes.shape[1]
    values = radial_orders(planes, heights)
    return RadialTable(
        values / values[0, 0, 0], 1.0 / (2.0 * setup.pixel_um * (planes.shape[2] - 1)),
        1.0 / (heights * setup.dz_um),
    )  # fmt: skip


def without_bead(
    order: np.ndarray, number: int, frequency_per_um: tuple[float, float], setup: BeadSetup
) -> np.ndarray:
    """An order's picture with the sphere divided out.

    The order m of a bead has the sphere's transform at k − m p, where the object was. It is divided
    out within the lateral cut-off, relative to its value at k = 0, down to a tenth; the rest is
    noise.

    Parameters
    ----------
    order : ndarray, shape (Z, Y, X), complex
    number
        m.
    frequency_per_um
        p; (0, 0) where it is not known.
    """
    spacing = (float(setup.dz_um or 1.0), setup.pixel_um, setup.pixel_um)
    kz, ky, kx = (np.fft.fftfreq(n, d) for n, d in zip(order.shape, spacing, strict=True))
    fy, fx = (number * f for f in frequency_per_um)
    lateral = np.hypot(ky[:, None] - fy, kx - fx)
    sphere = sphere_otf(np.sqrt(kz[:, None, None] ** 2 + lateral**2), setup.bead_um)
    sphere = sphere / sphere_otf(np.array([np.hypot(fy, fx)]), setup.bead_um)[0]
    support = np.hypot(ky[:, None], kx) < setup.optics.cutoff_per_um
    factor = np.where(support, 1.0 / np.maximum(sphere, _LEAST_TRANSMISSION), 0.0)
    return np.asarray(np.fft.ifftn(np.fft.fftn(order) * factor))


def planar_table(psf: np.ndarray, setup: BeadSetup, window_um: float | None) -> RadialTable:
    """Radial table of one plane's PSF (Y, X).

    Parameters
    ----------
    window_um
        Side of the window that cut off the spot's tail and its background with it: below
        ``1.5/window`` the logarithm of the ratio to the unaberrated OTF is extrapolated by a
        parabola from the values above. With 40 nm of spherical aberration at NA 1.4 the origin is
        1.5 to 3.5 % too high (a polynomial of k² makes it 6 to 15 % too low). None: nothing is
        missing.
    """
    rows = radial_rows(setup.pixel_um)
    values = radial_planes(psf[None], setup.pixel_um, rows)[0]
    step = 1.0 / (2.0 * setup.pixel_um * (rows - 1))
    k = step * np.arange(rows)
    if window_um is not None:
        first = ORIGIN_WINDOWS / window_um
        used = (k >= first) & (k <= ORIGIN_FROM * first) & (values > 0)
        theory = evaluate_otf(
            theoretical_otf(setup.optics, pixel_um=setup.pixel_um), np.zeros(1), k
        )
        parabola = np.polyfit(k[used], np.log(values[used] / theory[used]), 2)
        values = np.where(k < first, np.exp(np.polyval(parabola, k)) * theory, values)
    values = np.where(k < setup.optics.cutoff_per_um, values / values[0], 0.0)
    return RadialTable(_without_tail(values, k, setup)[None, :, None].astype(np.complex64),
                       step, 0.0)  # fmt: skip


def _without_tail(values: np.ndarray, k: np.ndarray, setup: BeadSetup) -> np.ndarray:
    """Zero from where the table is lost in its own noise: that of the frequencies beyond."""
    beyond = np.abs(values[(k > _TAIL_FROM * setup.optics.cutoff_per_um)])
    noise = float(np.median(beyond)) if beyond.size else 0.0
    lost = np.flatnonzero(values < 2.0 * noise)
    out = values.copy()
    if lost.size and noise > 0:
        out[lost[0] :] = 0.0
    return out


def radial_otf(table: RadialTable, setup: BeadSetup, source: str) -> RadialOTF:
    """A plane's table as an OTF of the engine."""
    values = np.real(table.values[0, :, 0]).astype(np.float64)
    k = table.kr_step_per_um * np.arange(values.size)
    return RadialOTF(k, values / values[0], min(setup.optics.cutoff_per_um, float(k[-1])),
                     source=source)  # fmt: skip

"""Zernike polynomials over the unit disc, orthonormal, in Noll's order.

Source: R. J. Noll, J. Opt. Soc. Am. 66, 207 (1976), eqs 1-3 and table I. The mean square of each
polynomial over the disc is 1, so a coefficient is the rms of its wavefront.
"""

from __future__ import annotations

from math import factorial, sqrt

import numpy as np

from simrecon.errors import UsageError

NAMES = {
    4: "defocus",
    5: "oblique astigmatism",
    6: "vertical astigmatism",
    7: "vertical coma",
    8: "horizontal coma",
    9: "vertical trefoil",
    10: "oblique trefoil",
    11: "primary spherical",
    22: "secondary spherical",
}
"""Field names of the polynomials most met in microscopes, by Noll's index."""


def noll_to_nm(j: int) -> tuple[int, int]:
    """Radial order n and azimuthal frequency m (negative: sine) of Noll's index j = 1, 2, …"""
    if j < 1:
        raise UsageError("Noll's index begins at 1.", got=str(j))
    n = int((sqrt(8 * j - 7) - 1) // 2)
    place = j - n * (n + 1) // 2 - 1
    m = 2 * ((place + 1) // 2) if n % 2 == 0 else 2 * (place // 2) + 1
    return n, m if j % 2 == 0 else -m


def zernike(j: int, rho: np.ndarray, azimuth_rad: np.ndarray) -> np.ndarray:
    """Noll's polynomial j at polar coordinates of the disc (0 ≤ ρ ≤ 1), float64.

    The azimuth runs from +x (right) to +y (down), like the picture's axes.
    """
    n, m = noll_to_nm(j)
    order = abs(m)
    radial = np.zeros(np.broadcast_shapes(np.shape(rho), np.shape(azimuth_rad)))
    for k in range((n - order) // 2 + 1):
        factor = (-1) ** k * factorial(n - k)
        factor /= factorial(k) * factorial((n + order) // 2 - k) * factorial((n - order) // 2 - k)
        radial = radial + factor * np.asarray(rho) ** (n - 2 * k)
    if m == 0:
        return sqrt(n + 1) * radial
    turn = np.cos(order * azimuth_rad) if m > 0 else np.sin(order * azimuth_rad)
    return np.asarray(sqrt(2 * (n + 1)) * radial * turn)

"""How the pattern of a direction differs from place to place: a smooth complex field.

The carrier ``exp(2πi p·r)`` of a direction becomes ``c(r) exp(2πi p·r)``: |c| is the local contrast
over the direction's modulation, arg c the local phase in addition to the phase of the frame. Order
m takes ``|c| exp(i m arg c)``. A pattern without a field has c = 1 everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.interpolate import RectBivariateSpline

_KEYS = frozenset(("y_um", "x_um", "contrast", "phase_rad", "sd", "tiles_used", "tiles_rejected"))

KNOWN_SD = 0.35
"""Standard deviation of c up to which a node counts as known in reports."""
CONTRAST_FLOOR = 0.35
"""Local contrast, over the direction's modulation, below which a band is not raised any further:
there its noise would swamp the picture, and its share of the effective OTF falls instead."""

Rows = tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class LocalField:
    """Values on a rectangular grid of nodes, with a cubic spline in between.

    Attributes
    ----------
    y_um, x_um : tuple of float
        Node positions, ascending, at least two each; the origin is the centre of pixel (0, 0).
    contrast, phase_rad : tuple of tuples, (len(y_um), len(x_um))
        |c| ≥ 0 and arg c at the nodes.
    sd : the same shape
        Standard deviation of the complex c (root of the mean square of its modulus), or empty.
    tiles_used, tiles_rejected : int
        Tiles with signal behind an estimate, and how many of them were left out as outliers.
    """

    y_um: tuple[float, ...]
    x_um: tuple[float, ...]
    contrast: Rows
    phase_rad: Rows
    sd: Rows = ()
    tiles_used: int = 0
    tiles_rejected: int = 0

    def __post_init__(self) -> None:
        shape = (len(self.y_um), len(self.x_um))
        if min(shape) < 2 or min(np.diff(self.y_um)) <= 0 or min(np.diff(self.x_um)) <= 0:
            raise ValueError("a local field needs two ascending nodes or more per axis")
        for name in ("contrast", "phase_rad", "sd"):
            rows = getattr(self, name)
            if [len(row) for row in rows] != [shape[1]] * shape[0] and (rows or name != "sd"):
                raise ValueError(f"{name} needs {shape[0]} rows of {shape[1]} values")
        if min(min(row) for row in self.contrast) < 0:
            raise ValueError("contrast cannot be negative")

    @classmethod
    def of(
        cls,
        y_um: np.ndarray,
        x_um: np.ndarray,
        values: np.ndarray,
        sd: np.ndarray | None = None,
        tiles_used: int = 0,
        tiles_rejected: int = 0,
    ) -> LocalField:
        """From complex node values (NY, NX)."""
        return cls(
            tuple(float(v) for v in y_um),
            tuple(float(v) for v in x_um),
            _rows(np.abs(values)),
            _rows(np.angle(values)),
            () if sd is None else _rows(sd),
            tiles_used,
            tiles_rejected,
        )

    @classmethod
    def sampled(
        cls,
        function: Callable[[np.ndarray, np.ndarray], np.ndarray],
        extent_um: tuple[float, float],
        nodes: int = 17,
    ) -> LocalField:
        """From a function c(y, x) of broadcast positions in µm, over 0…extent (y, x)."""
        y, x = (np.linspace(0.0, e, nodes) for e in extent_um)
        return cls.of(y, x, np.asarray(function(y[:, None], x[None, :])))

    @property
    def known(self) -> np.ndarray:
        """Nodes whose c is known to `KNOWN_SD`, (NY, NX) bool; all of them without `sd`."""
        if not self.sd:
            return np.ones((len(self.y_um), len(self.x_um)), dtype=bool)
        return np.asarray(self.sd) < KNOWN_SD

    def summary(self) -> dict[str, Any]:
        """How much it varies where it is known; JSON-ready, for reports."""
        contrast, phase = (np.asarray(rows) for rows in (self.contrast, self.phase_rad))
        seen = self.known & (contrast > 2.0 * np.asarray(self.sd or 0.0))
        contrast, phase = contrast[self.known], phase[seen]
        return {
            "max_phase_deviation_deg": float(np.degrees(np.abs(phase)).max(initial=0.0)),
            "contrast_range": [float(contrast.min(initial=1.0)), float(contrast.max(initial=1.0))],
            "tiles_used": self.tiles_used,
            "tiles_rejected": self.tiles_rejected,
        }

    @property
    def values(self) -> np.ndarray:
        """Complex c at the nodes, (NY, NX) complex128."""
        return np.asarray(self.contrast) * np.exp(1j * np.asarray(self.phase_rad))

    def at(self, y_um: np.ndarray, x_um: np.ndarray, order: int = 1) -> np.ndarray:
        """What order `order` is multiplied with, (Y, X) complex128.

        Parameters
        ----------
        y_um, x_um : ndarray
            Y and X ascending positions in any shape; beyond the outer nodes c is constant.
        """
        y = np.clip(np.ravel(y_um), self.y_um[0], self.y_um[-1])
        x = np.clip(np.ravel(x_um), self.x_um[0], self.x_um[-1])
        values = self.values
        degree = {"kx": min(3, len(self.y_um) - 1), "ky": min(3, len(self.x_um) - 1)}
        real, imaginary = (
            RectBivariateSpline(self.y_um, self.x_um, part, **degree)(y, x)
            for part in (values.real, values.imag)
        )
        field = np.asarray(real + 1j * imaginary)
        return field if order == 1 else np.abs(field) * np.exp(1j * order * np.angle(field))

    def mean(self, function: Callable[[np.ndarray], np.ndarray], samples: int = 64) -> float:
        """Mean of ``function(c)`` over the area of the nodes."""
        middle = (np.arange(samples) + 0.5) / samples
        y, x = (np.interp(middle, (0, 1), (n[0], n[-1])) for n in (self.y_um, self.x_um))
        return float(np.mean(function(self.at(y, x))))

    def moved(self, start_um: tuple[float, float]) -> LocalField:
        """The same field with positions counted from `start_um` (y, x)."""
        return replace(
            self,
            y_um=tuple(v - start_um[0] for v in self.y_um),
            x_um=tuple(v - start_um[1] for v in self.x_um),
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; the value of the key ``local`` in the ``simrecon/pattern/1`` schema."""
        found: dict[str, Any] = {
            "y_um": list(self.y_um),
            "x_um": list(self.x_um),
            "contrast": [list(r) for r in self.contrast],
            "phase_rad": [list(r) for r in self.phase_rad],
        }
        if self.sd:
            found["sd"] = [list(r) for r in self.sd]
        if self.tiles_used:
            found |= {"tiles_used": self.tiles_used, "tiles_rejected": self.tiles_rejected}
        return found

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> LocalField:
        """Read :meth:`to_dict`.

        Raises
        ------
        KeyError, TypeError, ValueError
            For what is missing, unknown, malformed or not finite.
        """
        unknown = sorted(set(data) - _KEYS)
        if unknown:
            raise ValueError(f"unknown key(s) {', '.join(unknown)} in local")

        def numbers(values: Any) -> tuple[float, ...]:
            found = tuple(float(v) for v in values)
            if not all(math.isfinite(v) for v in found):
                raise ValueError("local holds numbers that are not finite")
            return found

        return cls(
            numbers(data["y_um"]),
            numbers(data["x_um"]),
            tuple(numbers(row) for row in data["contrast"]),
            tuple(numbers(row) for row in data["phase_rad"]),
            tuple(numbers(row) for row in data.get("sd", ())),
            int(data.get("tiles_used", 0)),
            int(data.get("tiles_rejected", 0)),
        )


def undone(light: np.ndarray) -> np.ndarray:
    """1/c, with the modulus of c taken as at least :data:`CONTRAST_FLOOR`."""
    modulus = np.abs(light)
    phase = np.conj(light) / np.maximum(modulus, 1e-12)
    return np.asarray(phase / np.maximum(modulus, CONTRAST_FLOOR))


def _rows(values: np.ndarray) -> Rows:
    return tuple(tuple(float(v) for v in row) for row in values)

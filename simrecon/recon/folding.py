"""Spectra of raw fields on the SR frequencies: periodic there, folded back from there."""

from __future__ import annotations

from dataclasses import dataclass

from simrecon.backend import Array, namespace


@dataclass(frozen=True)
class Folding:
    """The q × q copies of a raw spectrum that the SR frequencies hold.

    Attributes
    ----------
    zoom : int
        q, SR pixels per raw pixel and axis.
    padded : (int, int)
        Raw size (Y, X) of the transforms.
    """

    zoom: int
    padded: tuple[int, int]

    def multiply(self, transfer: Array, spectrum: Array) -> Array:
        """``transfer(k) · spectrum(k mod raw sampling)``: (qY, qX) times (Y, X)."""
        xp = namespace(spectrum)
        q, (py, px) = self.zoom, self.padded
        tiled = xp.reshape(transfer, (q, py, q, px)) * xp.reshape(spectrum, (1, py, 1, px))
        return xp.reshape(tiled, (q * py, q * px))

    def fold(self, spectrum: Array) -> Array:
        """Sum the q × q aliases: the transpose of periodic tiling (= decimation in space)."""
        xp = namespace(spectrum)
        q, (py, px) = self.zoom, self.padded
        return xp.sum(xp.reshape(spectrum, (q, py, q, px)), axis=(0, 2))


def mirrored(spectrum: Array) -> Array:
    """The spectrum at −k."""
    xp = namespace(spectrum)
    return xp.roll(xp.flip(spectrum, axis=(-2, -1)), (1, 1), axis=(-2, -1))

"""Demodulated frames on the object's spectrum: the rows of which the overlap fit is made.

Every frame of a direction, multiplied by ``exp(-2πi b p·(r − centre))``, windowed and transformed,
shows the object at its own place for band b. All directions and bands are sampled at the same
object frequencies, one half plane.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from simrecon.estimate.mixing import BANDS, DirectionState, unmixing
from simrecon.estimate.window import FieldWindow

FLOOR = 0.05
"""Bands are used where their |H| is at least this: below, a model of the OTF means little."""

OtfFunction = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""``H(ky, kx)`` of equal-shaped frequency arrays in cycles/µm."""


@dataclass(frozen=True)
class HalfPlane:
    """Samples of the object's spectrum that enter the fit, one half plane, in blocks.

    Attributes
    ----------
    index, mirrored : ndarray (K,), intp
        Flat positions of k and −k in the padded DFT.
    ky, kx : ndarray (K,)
        Frequencies, cycles/µm.
    ring : ndarray (K,), intp
        Radius in samples of 1/(shorter side).
    block_start : ndarray, intp
        First sample of each square block (samples are sorted by block).
    """

    index: np.ndarray
    mirrored: np.ndarray
    ky: np.ndarray
    kx: np.ndarray
    ring: np.ndarray
    block_start: np.ndarray

    @classmethod
    def within(
        cls, window: FieldWindow, radius_per_um: float, exclude: int = 2, block: int = 8
    ) -> HalfPlane:
        """Samples with ``exclude`` < |k| (in DFT samples) and |k| ≤ `radius_per_um`."""
        ny, nx = window.padded.shape
        ky, kx = window.padded.frequencies_per_um()
        iy, ix = (
            np.round(ky * ny * window.padded.pixel_um),
            np.round(kx * nx * window.padded.pixel_um),
        )
        keep = (ix > 0) | ((ix == 0) & (iy > 0))
        keep = keep & (np.hypot(ky, kx) <= radius_per_um) & (np.hypot(iy, ix) > exclude)
        keep &= (np.abs(iy) < ny / 2) & (np.abs(ix) < nx / 2)
        row, column = np.nonzero(keep)
        sy = iy[row, 0].astype(np.intp)
        sx = ix[0, column].astype(np.intp)
        label = (sy // block + ny) * (nx + ny) + sx // block
        order = np.argsort(label, kind="stable")
        sy, sx, label = sy[order], sx[order], label[order]
        row_k = sy / (ny * window.padded.pixel_um)
        column_k = sx / (nx * window.padded.pixel_um)
        start = np.concatenate([[0], np.nonzero(np.diff(label))[0] + 1])
        return cls(
            index=(sy % ny) * nx + sx % nx,
            mirrored=(-sy % ny) * nx + (-sx % nx),
            ky=row_k,
            kx=column_k,
            ring=np.round(np.hypot(row_k, column_k) * min(window.padded.extent_um)).astype(np.intp),
            block_start=start,
        )


def rows_per_direction(phases: int) -> int:
    """P rows for order 0 and P + 2 for each of ±1."""
    return 3 * phases + 4


def band_rows(direction: int, band: int, phases: int) -> slice:
    """Rows of one band (index into :data:`BANDS`) of one direction, derivatives included."""
    start = direction * rows_per_direction(phases)
    edges = (0, phases, 2 * phases + 2, 3 * phases + 4)
    return slice(start + edges[band], start + edges[band + 1])


def demodulated_rows(
    frames: np.ndarray,
    taper_spectra: np.ndarray,
    state: DirectionState,
    window: FieldWindow,
    half: HalfPlane,
    slopes: np.ndarray | None,
) -> np.ndarray:
    """Rows of one direction, (3P + 4, K) complex64.

    A window does not commute with the OTF: to first order
    ``F{w·(h⊛S)} = H·F{w S} − ∇H·F{∇w S}/2πi``. The second term biases the frequency by some
    0.007 DFT samples at 512²; it is removed with the frames windowed by ∇w.

    The derivative rows are ``(y − y_c)·Y`` and ``(x − x_c)·Y`` with Y the order-±1 band at the
    current unmixing; a small frequency step δp adds ``−2πi b δp·(those rows)`` to the band.

    Parameters
    ----------
    frames : ndarray (P, Y, X)
    taper_spectra : ndarray (3, P, KY, KX)
        Transforms of the frames times w, ∂w/∂y, ∂w/∂x.
    state, window, half
    slopes : ndarray (3, 2, K)
        ``∇H/H`` at ``k + b p`` for the three bands, in µm (:func:`log_slopes`). None: no
        correction, for a first step.
    """
    phases = frames.shape[0]
    carrier = window.carrier((state.frequency_per_um[0], state.frequency_per_um[1]))
    shifted = frames * carrier
    tapers = window.tapers()
    used = 3 if slopes is not None else 1
    plus = window.transform_windowed(tapers[:used, None] * shifted).reshape(used, phases, -1)
    c = unmixing(state.parameters, phases)[1].astype(np.complex64)
    band = np.tensordot(c, shifted, axes=1) * tapers[0]
    moments = np.stack(
        [
            band * window.y_um[:, None].astype(np.float32),
            band * window.x_um[None, :].astype(np.float32),
        ]
    )
    derivative = window.transform_windowed(moments).reshape(2, -1)
    zero = taper_spectra[:used].reshape(used, phases, -1)[..., half.index]
    first = plus[..., half.index]
    second = np.conj(plus[..., half.mirrored])
    return np.concatenate(
        [
            _commuted(zero, None if slopes is None else slopes[0]),
            _commuted(first, None if slopes is None else slopes[1]),
            derivative[:, half.index],
            _commuted(second, None if slopes is None else slopes[2]),
            np.conj(derivative[:, half.mirrored]),
        ]
    )


def _commuted(spectra: np.ndarray, slopes: np.ndarray | None) -> np.ndarray:
    """``F + ∇H/H · F^∇w / 2πi``: (P, K) from the three windowed transforms (3, P, K)."""
    if slopes is None:
        plain: np.ndarray = spectra[0]
        return plain
    factor = (slopes / (2j * np.pi)).astype(np.complex64)
    corrected: np.ndarray = spectra[0] + factor[0] * spectra[1] + factor[1] * spectra[2]
    return corrected


def log_slopes(
    otf: OtfFunction,
    state: DirectionState,
    window: FieldWindow,
    half: HalfPlane,
    floor: float = FLOOR,
) -> np.ndarray:
    """``∇H/H`` at ``k + b p`` of the three bands, (3, 2, K), µm; 0 where |H| < `floor`."""
    fy, fx = state.frequency_per_um
    step = 0.5 / min(window.padded.extent_um)
    result = []
    for b in BANDS:
        ky, kx = half.ky + b * fy, half.kx + b * fx
        value = otf(ky, kx)
        seen = np.abs(value) >= floor
        safe = np.where(seen, value, 1.0)
        dy = (otf(ky + step, kx) - otf(ky - step, kx)) / (2 * step)
        dx = (otf(ky, kx + step) - otf(ky, kx - step)) / (2 * step)
        result.append(np.stack([np.where(seen, dy / safe, 0.0), np.where(seen, dx / safe, 0.0)]))
    return np.array(result)


def band_gains(
    otf: OtfFunction, states: list[DirectionState], half: HalfPlane, floor: float = FLOOR
) -> np.ndarray:
    """``G_i(k) = H(k + b p_d)`` of all bands, (3D, K) complex64; below `floor` set to 0."""
    gains = []
    for state in states:
        fy, fx = state.frequency_per_um
        for b in BANDS:
            value = otf(half.ky + b * fy, half.kx + b * fx)
            gains.append(np.where(np.abs(value) < floor, 0.0, value))
    return np.array(gains).astype(np.complex64)


def plain_rows(
    frames: np.ndarray,
    spectra: np.ndarray,
    state: DirectionState,
    window: FieldWindow,
    half: HalfPlane,
) -> np.ndarray:
    """Rows of one direction without corrections and derivatives (those rows are zero).

    Parameters
    ----------
    frames : ndarray (P, Y, X)
    spectra : ndarray (P, KY, KX)
        Transforms of the windowed frames.
    """
    phases = frames.shape[0]
    carrier = window.carrier((state.frequency_per_um[0], state.frequency_per_um[1]))
    plus = window.transform_windowed(frames * (carrier * window.tapers()[0]))
    plus = plus.reshape(phases, -1)
    blank = np.zeros((2, half.index.size), dtype=np.complex64)
    zero = spectra.reshape(phases, -1)[:, half.index]
    first, second = plus[:, half.index], np.conj(plus[:, half.mirrored])
    return np.concatenate([zero, first, blank, second, blank])

"""Samples of the object's spectrum that at least two bands of a set see.

The bands of high orders overlap beyond the detection cut-off only. Frames are sampled for a disc of
the cut-off's radius (:mod:`simrecon.estimate.band_field`); demodulated, that disc lies elsewhere,
and its samples are found modulo the sampling rate, as exact as before.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from simrecon.backend import fast_length
from simrecon.estimate.band_field import BandField
from simrecon.estimate.carriers.carrier_set import CarrierSet, SetState
from simrecon.estimate.half_plane import HalfPlane
from simrecon.estimate.rows import BandImages

EXCLUDED = 2
"""DFT samples round k = 0 that are left out."""


def reaching(images: BandImages, carriers: CarrierSet, state: SetState) -> BandImages:
    """The same frames with samples wherever two bands of a set overlap."""
    half = _overlaps(images.field, carriers.carrier_per_um(state.frequency_per_um))
    old_y, old_x = _samples(images.half, images.field)
    new_y, new_x = _samples(half, images.field)
    width = 4 * int(max(np.abs(new_y).max(), np.abs(old_y).max(), 1))
    old_key, new_key = old_y + width * old_x, new_y + width * new_x
    order = np.argsort(old_key)
    place = np.searchsorted(old_key[order], new_key)
    place = order[np.minimum(place, order.size - 1)]
    both = old_key[place] == new_key
    zero = np.where(both, images.zero[..., place], np.complex64(0))
    corrected = np.where(both, images.zero_corrected[..., place], np.complex64(0))
    return replace(images, half=half, zero=zero, zero_corrected=corrected)


def wide_field(images: BandImages) -> BandField:
    """A field on which all samples of ``images.half`` have places of their own."""
    window = images.field.window
    shape, positions = [], []
    for n, first, k in zip(
        window.padded.shape,
        (window.y_um[0], window.x_um[0]),
        (images.half.ky, images.half.kx),
        strict=True,
    ):
        extent = n * window.padded.pixel_um
        m = fast_length(2 * int(np.ceil(np.abs(k).max() * extent)) + 4)
        shape.append(m)
        positions.append(first + extent / m * np.arange(m))
    return BandField(
        window, (shape[0], shape[1]), positions[0], positions[1], images.field.cutoff_per_um
    )


def on_field(half: HalfPlane, field: BandField) -> HalfPlane:
    """The same samples with their places in the DFT of another field."""
    sy, sx = _samples(half, field)
    my, mx = field.shape
    return replace(half, index=(sy % my) * mx + sx % mx, mirrored=(-sy % my) * mx + -sx % mx)


def _samples(half: HalfPlane, field: BandField) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies in DFT samples, integers."""
    ly, lx = field.window.padded.extent_um
    return np.round(half.ky * ly).astype(np.intp), np.round(half.kx * lx).astype(np.intp)


def _overlaps(field: BandField, carriers_per_um: np.ndarray) -> HalfPlane:
    """Half plane of the samples inside two or more discs round −q_b."""
    cutoff, (ly, lx) = field.cutoff_per_um, field.window.padded.extent_um
    top = cutoff + float(np.abs(carriers_per_um).max())
    ny, nx = int(np.ceil(top * ly)), int(np.ceil(top * lx))
    sy, sx = np.arange(-ny, ny + 1)[:, None], np.arange(nx + 1)[None, :]
    ky, kx = sy / ly, sx / lx
    seen = np.zeros((sy.size, sx.size), dtype=np.int8)
    for qy, qx in carriers_per_um:
        seen += (ky + qy) ** 2 + (kx + qx) ** 2 <= cutoff**2
    keep = (seen >= 2) & ((sx > 0) | (sy > 0)) & (np.hypot(sy, sx) > EXCLUDED)
    row, column = np.nonzero(keep)
    y, x = sy[row, 0], sx[0, column]
    my, mx = field.shape
    return HalfPlane(
        index=(y % my) * mx + x % mx,
        mirrored=(-y % my) * mx + -x % mx,
        raw_index=np.zeros(y.size, dtype=np.intp),
        ky=y / ly,
        kx=x / lx,
        ring=np.round(np.hypot(y / ly, x / lx) * min(ly, lx)).astype(np.intp),
    )

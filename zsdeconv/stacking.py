"""Stacking: denoised picture and object, ring by ring in frequency, as unseen copies want them.

A short training leaves fine detail too weak, because the raw frames hardly see it, and what the
denoised picture knows and what the object knows are not the same. The result is

    f = Σ_b B_b ⊛ ( g_b · object + h_b · denoised ),

with smooth rings B_b that add up to 1, and the few weights by which ``forward(f)`` of one
re-corrupted copy predicts its independent partner best (stacked regression, Breiman, Machine
Learning 24, 49, 1996): a linear least-squares problem without any truth in it. A ridge draws them
towards the object as it is (g = 1, h = 0). How strong it is, the data say: it maximises the
evidence, the probability of the partners with the weights integrated out (MacKay, Neural Comput. 4,
415, 1992). A million raw values determine most weights, a small, dim picture hardly any.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy import fft

from zsdeconv.bridge import to_host, to_tensor
from zsdeconv.measurement import Measurement

RINGS = 9
LAST_RING = 1.2
"""Centre of the last ring over the cut-off of the linear picture."""
RIDGES = np.geomspace(1.0, 1e3, 31)
"""Ridges that are tried: prior standard deviations of the weights of 1 to 0.03."""
_MARGIN_PX = 8
_LARGEST_PX = 512
_CHUNK = 3


@dataclass(frozen=True)
class Copy:
    """What the network made of one copy, and the copy's partner.

    Attributes
    ----------
    denoised, objects : ndarray, shape (Y, X), e
    partner : ndarray, shape (F, y, x), e
        Frames with independent noise of `inflation` times their variance.
    inflation : float
    """

    denoised: np.ndarray
    objects: np.ndarray
    partner: np.ndarray
    inflation: float


@dataclass(frozen=True)
class Stacking:
    """The combination: weights of the rings of both pictures.

    Attributes
    ----------
    weights : ndarray, shape (2, RINGS)
        h (denoised) and g (object).
    cutoff_px : float or tuple of float
        Cut-off of the linear picture, cycles per image pixel (of a volume: per axis).
    """

    weights: np.ndarray
    cutoff_px: float | tuple[float, ...]

    @classmethod
    def fit(
        cls, measurement: Measurement, copies: Iterable[Copy], where: np.ndarray | None = None
    ) -> Stacking:
        """Least squares over all copies, with the ridge of the largest evidence.

        The N copies share the noise of the frames: together they say as much as one partner with
        1 + (inflation − 1)/N times its variance.

        Parameters
        ----------
        where : ndarray of bool, shape (y, x)
            Raw pixels that were no target of the training; None: all count alike. What the other
            pixels ask for may be their noise, which the network has learned: their weights are
            taken only if they predict these pixels better than the weights of these pixels do.
        """
        masks = (
            [np.ones(measurement.frames_e.shape[1:], bool)] if where is None else [where, ~where]
        )
        every = list(copies)
        found = [_normal_equations(measurement, copy, masks) for copy in every]
        shared = np.array([1.0 / (len(every) + copy.inflation - 1.0) for copy in every])
        sums = [
            [np.tensordot(shared, np.array([f[k][part] for f in found]), 1) for part in (0, 1)]
            for k in range(len(masks))
        ]
        tried = [_regressed(matrix, vector) for matrix, vector in sums]
        matrix, vector = sums[0]
        errors = [w @ matrix @ w - 2.0 * w @ vector for w, _ in tried]
        errors[0] += 2.0 * tried[0][1]  # they were fitted to these pixels (Mallows' Cp)
        weights = tried[int(np.argmin(errors))][0]
        return cls(weights.reshape(2, RINGS), measurement.image_cutoff_px)

    def __call__(self, denoised: np.ndarray, objects: np.ndarray) -> np.ndarray:
        """Both ([Z,] Y, X), e → the object, float32; detail may undershoot 0."""
        pads = [_pad(n) for n in objects.shape]
        pictures = [
            np.pad(p.astype(np.float32), [(n, n) for n in pads], "symmetric")
            for p in (denoised, objects)
        ]
        shape = pictures[0].shape
        rings = ring_filters(shape, self.cutoff_px)
        spectrum = sum(
            fft.rfftn(p) * np.tensordot(w.astype(np.float32), rings, 1)
            for p, w in zip(pictures, self.weights, strict=True)
        )
        inner = tuple(slice(p, p + n) for p, n in zip(pads, objects.shape, strict=True))
        return np.asarray(fft.irfftn(spectrum, s=shape)[inner], dtype=np.float32)


def _regressed(information: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, float]:
    """Weights of the ridge regression around (h, g) = (0, 1) with the largest evidence.

    And their degrees of freedom.
    """
    centre = np.repeat([0.0, 1.0], RINGS)
    values, axes = np.linalg.eigh(information)
    values = np.maximum(values, 0.0)
    along = axes.T @ (right - information @ centre)
    evidence = [
        np.sum(np.log(ridge / (values + ridge)) + along**2 / (values + ridge)) for ridge in RIDGES
    ]
    ridge = RIDGES[int(np.argmax(evidence))]
    weights = centre + axes @ (along / (values + ridge))
    return np.asarray(weights), float(np.sum(values / (values + ridge)))


def ring_filters(shape: tuple[int, ...], cutoff_px: float | tuple[float, ...]) -> np.ndarray:
    """Rings on the half spectrum, (RINGS, [Z,] Y, X//2 + 1) float32; they add up to 1 everywhere.

    Triangles in radial frequency around equidistant centres from 0 to `LAST_RING` cut-offs; the
    last one stays 1 beyond its centre. With a cut-off per axis the rings are ellipsoids.
    """
    cutoffs = np.broadcast_to(cutoff_px, len(shape))
    waves = [np.fft.fftfreq(n) for n in shape[:-1]] + [np.fft.rfftfreq(shape[-1])]
    squares = [(k / c) ** 2 for k, c in zip(waves, cutoffs, strict=True)]
    radius = np.sqrt(sum(np.ix_(*squares)))
    place = np.minimum(radius / LAST_RING, 1.0) * (RINGS - 1)
    rings = [np.maximum(1.0 - np.abs(place - b), 0.0) for b in range(RINGS)]
    return np.asarray(rings, dtype=np.float32)


def _pad(length: int) -> int:
    """Mirror margin, even, so that rings do not wrap round the field."""
    return min(48, length // 2 * 2)


def _normal_equations(
    measurement: Measurement, copy: Copy, masks: Sequence[np.ndarray]
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Normal matrix and right-hand side of one copy, for (h, g), on the field's middle.

    In units of the frames' own noise; one pair for the raw pixels (y, x) of each mask.
    """
    padding = measurement.padding
    rings = ring_filters(padding.image_shape, measurement.image_cutoff_px)
    window = tuple(_middle(n) for n in copy.partner.shape[1:])
    device = getattr(measurement.forward, "device", torch.device("cpu"))
    made = []
    for picture in (copy.denoised, copy.objects):
        spectrum = fft.rfftn(measurement.extended(picture))
        for first in range(0, RINGS, _CHUNK):
            few = spectrum * rings[first : first + _CHUNK]
            parts = fft.irfftn(few, s=padding.image_shape, axes=range(1, few.ndim))
            with torch.inference_mode():
                batch = to_tensor(parts.astype(np.float32), device)[:, None]
                frames = measurement.forward(batch, [padding.origin] * len(parts))
            made += [f[(slice(None), *window)] for f in padding.crop_frames(to_host(frames))]
    design = np.stack(made).reshape(2 * RINGS, -1)
    inner = (slice(None), *window)
    partner = copy.partner[inner].ravel().astype(np.float32)
    variance = measurement.variance_e2[inner]
    pairs = []
    for mask in masks:
        weighted = design * (mask[window] / variance).astype(np.float32).ravel()
        matrix, vector = weighted @ design.T, weighted @ partner
        pairs.append((matrix.astype(np.float64), vector.astype(np.float64)))
    return pairs


def _middle(length: int) -> slice:
    """At most `_LARGEST_PX` pixels, and not the border."""
    size = max(1, min(length - 2 * min(_MARGIN_PX, length // 8), _LARGEST_PX))
    return slice((length - size) // 2, (length - size) // 2 + size)

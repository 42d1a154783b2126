"""What was measured, in the one form that training and judging need.

A measurement is a set of raw frames with independent noise of known variance, a *linear* map
from frames to the image that the network sees (`lift`), and the forward model from a sharp
object to expected frames. A plain image is the case of one frame whose lift is the identity.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import EllipsisType
from typing import Protocol

import numpy as np
import torch

from simrecon.errors import InputError
from simrecon.model.noise import FrameNoise
from zsdeconv.bridge import to_host, to_tensor
from zsdeconv.psf_layer import PsfLayer
from zsdeconv.recorrupt import draw_noise

RAW_MARGIN = 24
"""Raw pixels by which the field is extended on every side (mirror image, zero weight)."""


class Forward(Protocol):
    """Sharp object to expected frames on patches (see :class:`zsdeconv.sim_forward.SimForward`)."""

    def prepare(self, origin: tuple[int, ...], shape: tuple[int, ...]) -> None:
        """Keep what a field needs, so that patches inside it are cheap."""
        ...

    def __call__(self, objects: torch.Tensor, origins: Sequence[tuple[int, ...]]) -> torch.Tensor:
        """(B, 1, [Z,] Y, X) → (B, frames, [Z,] Y/zoom, X/zoom)."""
        ...

    def transpose(self, frames: torch.Tensor, origin: tuple[int, ...]) -> torch.Tensor:
        """(frames, [Z,] Y, X) → ([Z,] zoom·Y, zoom·X)."""
        ...


class PsfForward:
    """Forward model of a plain image or volume: convolution with its PSF."""

    def __init__(self, psf: np.ndarray) -> None:
        self._layer = PsfLayer(psf)
        self._mirrored = PsfLayer(_flip_about_centre(psf))

    def prepare(self, origin: tuple[int, ...], shape: tuple[int, ...]) -> None:
        """Do nothing: a convolution is the same everywhere."""

    def __call__(self, objects: torch.Tensor, origins: Sequence[tuple[int, ...]]) -> torch.Tensor:
        """``objects ⊛ psf``; the origins play no part."""
        return self._layer(objects)

    def transpose(self, frames: torch.Tensor, origin: tuple[int, ...]) -> torch.Tensor:
        """Correlation with the PSF: (1, [Z,] Y, X) → ([Z,] Y, X)."""
        return self._mirrored(frames)[0]


def _flip_about_centre(psf: np.ndarray) -> np.ndarray:
    """``psf(-r)`` with the centre at n//2 kept; even sizes get one more row and column."""
    odd = np.pad(psf, [(0, 1 - n % 2) for n in psf.shape])
    return odd[::-1, ::-1]


@dataclass(frozen=True)
class Measurement:
    """Frames, their noise, and the two linear maps.

    Attributes
    ----------
    frames_e : ndarray, shape (F, Y, X), float32
        Raw frames, photo-electrons.
    variance_e2 : ndarray, same shape, float32
        Noise variance of every raw pixel.
    noise : FrameNoise
        The variance for any other expectation; broadcasts against the frames.
    lift : callable
        ``lift(frames (F, Y, X)) → image (zoom·Y, zoom·X)``, linear, float32, host arrays.
    forward : Forward
        Object to frames, in torch.
    zoom : int
        Image pixels per raw pixel and lateral axis; planes stay.
    pixel_um : float
        Raw pixel, µm.
    effective_psf : ndarray, shape (n, m)
        PSF of the image, centred on n//2, sum 1, on the image's grid.
    image_variance : ndarray or None, shape (zoom·Y, zoom·X)
        Propagated variance of the image, when it is known.
    shot_noise : bool
        The variance of a frame follows from its expectation by `noise`; otherwise it is
        `variance_e2` whatever is expected.
    image_cutoff_px : float or tuple of float
        Cut-off of the linear picture, cycles per image pixel (of a volume: per axis).
    shown_psf : ndarray or None, shape (n, m)
        PSF at which an object is shown, centred on n//2, sum 1; None: the object as it is.
    noise_kernel : ndarray or None, shape (n, m), odd
        Filter that makes white noise as correlated as that of the frames; None: it is white.
    doubts : tuple of str
        What is wrong with the data themselves: the verdict can only be weak.
    source : str
        One word for provenance: ``sim``, ``image`` or ``volume``.
    dz_um : float or None
        Distance between the planes of a volume, µm; all arrays then have a Z before Y.
    margins : tuple of int or None
        Raw pixels per axis by which the field is extended for light from outside
        [None: `RAW_MARGIN`].
    """

    frames_e: np.ndarray
    variance_e2: np.ndarray
    noise: FrameNoise
    lift: Callable[[np.ndarray], np.ndarray]
    forward: Forward
    zoom: int
    pixel_um: float
    effective_psf: np.ndarray
    image_variance: np.ndarray | None = None
    shot_noise: bool = False
    image_cutoff_px: float | tuple[float, ...] = 0.5
    shown_psf: np.ndarray | None = None
    noise_kernel: np.ndarray | None = None
    doubts: tuple[str, ...] = ()
    source: str = "image"
    dz_um: float | None = None
    margins: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        axes = self.effective_psf.ndim + 1
        if self.frames_e.ndim != axes or self.frames_e.shape != self.variance_e2.shape:
            raise InputError(
                "Frames and variances must have the same axes, and those of the PSF.",
                expected="(frames, Y, X), of a volume (frames, Z, Y, X)",
                got=f"{self.frames_e.shape} and {self.variance_e2.shape}",
            )
        if not (np.isfinite(self.frames_e).all() and np.all(self.variance_e2 > 0)):
            raise InputError("Frames must be finite and their variances positive.")

    @cached_property
    def image(self) -> np.ndarray:
        """The image that the network sees: ``lift(frames_e)``."""
        return np.asarray(self.lift(self.frames_e), dtype=np.float32)

    def draw_noise(
        self, rng: np.random.Generator, variance_e2: np.ndarray | None = None
    ) -> np.ndarray:
        """One draw of the frames' noise, or of that with another variance; e, float32."""
        variance = self.variance_e2 if variance_e2 is None else variance_e2
        return draw_noise(variance, rng, self.noise_kernel)

    def expected_variance(self, expected_e: np.ndarray) -> np.ndarray:
        """Noise variance of frames with this expectation, e², floored at 2 % of its mean."""
        if not self.shot_noise:
            return self.variance_e2
        variance = self.noise.variance(expected_e)
        floor = 0.02 * float(variance.mean())
        return np.asarray(np.maximum(variance, floor), dtype=np.float32)

    def extended(self, objects: np.ndarray) -> np.ndarray:
        """An object with its surroundings: its own, else mirror images; float32."""
        own = self.margins is not None and objects.shape == self.padding.image_shape
        return (objects if own else self.padding.image(objects)).astype(np.float32)

    def inside(self, picture: np.ndarray) -> np.ndarray:
        """The field itself, of a picture with or without surroundings."""
        return picture if picture.shape == self.image_shape else self.padding.crop_image(picture)

    def predict(self, objects: np.ndarray) -> np.ndarray:
        """Expected frames (F, Y, X) of an object on the image's grid.

        Of a volume it may have its surroundings (`padding`): much of the light in the first and
        last planes comes from beyond them. Otherwise it is mirror-extended.
        """
        padding = self.padding
        padded = self.extended(objects)
        device = getattr(self.forward, "device", torch.device("cpu"))
        with torch.inference_mode():
            frames = self.forward(to_tensor(padded, device)[None, None], [padding.origin])
        return padding.crop_frames(to_host(frames[0]))

    def blurred(self, objects: np.ndarray, psf: np.ndarray) -> np.ndarray:
        """``objects ⊛ psf``, mirror images outside; as large as `objects`; float32."""
        blurred = to_host(PsfLayer(psf)(to_tensor(self.extended(objects))))
        return blurred if objects.shape == blurred.shape else self.padding.crop_image(blurred)

    def shown(self, objects: np.ndarray) -> np.ndarray:
        """An object at the resolution at which it is shown; float32, not negative, same flux."""
        seen = objects if self.shown_psf is None else self.blurred(objects, self.shown_psf)
        positive = np.maximum(seen, 0.0)
        light, kept = (float(p.sum(dtype=np.float64)) for p in (seen, positive))
        factor = light / kept if light > 0 else 1.0
        return np.asarray(positive * factor, dtype=np.float32)

    @property
    def padding(self) -> Padding:
        """The smallest extension of the field that the forward model needs."""
        planes = (1,) * (self.frames_e.ndim - 3)
        return Padding.around(
            self.frames_e.shape[1:], self.zoom, (*planes, 2 * self.zoom, 2 * self.zoom),
            margins=self.margins,
        )  # fmt: skip

    @property
    def steps(self) -> tuple[float, ...]:
        """Pitch along each axis of the image, relative to its pixel."""
        if self.dz_um is None:
            return (1.0, 1.0)
        return (self.dz_um / self.pixel_um * self.zoom, 1.0, 1.0)

    @property
    def fitted(self) -> float:
        """Share of the raw values that an object within the optics' support can follow.

        0 for SIM frames, of which there are several for every value of the object, and for
        volumes, whose support is thin.
        """
        if self.source != "image" or isinstance(self.image_cutoff_px, tuple):
            return 0.0
        return fitted_share(self.image_cutoff_px * self.zoom)

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Shape ([Z,] Y, X) of the image."""
        return self.padding.inner_image_shape


def zooms(zoom: int, axes: int) -> tuple[int, ...]:
    """A lateral zoom per axis of a picture (2) or a volume (3), whose planes stay."""
    return (1,) * (axes - 2) + (zoom, zoom)


def fitted_share(cutoff_px: float) -> float:
    """Share of the waves on a grid below a cut-off in cycles per its pixel."""
    return float(min(1.0, np.pi * cutoff_px**2))


@dataclass(frozen=True)
class Padding:
    """Extension of a field: mirror images for pictures, zeros for weights.

    Attributes
    ----------
    shape : tuple of int
        Raw field (Y, X), or (Z, Y, X) of a volume.
    zoom : int
        Image pixels per raw pixel and lateral axis; planes stay.
    after : tuple of int
        Raw pixels added behind the field, per axis.
    before : tuple of int
        Raw pixels added in front of it.
    """

    shape: tuple[int, ...]
    zoom: int
    after: tuple[int, ...]
    before: tuple[int, ...]

    @classmethod
    def around(
        cls,
        shape: tuple[int, ...],
        zoom: int,
        unit: int | Sequence[int],
        least: int | Sequence[int] = 0,
        margins: Sequence[int] | None = None,
    ) -> Padding:
        """Margins so that the image's padded sizes are multiples of `unit` and ≥ `least`.

        `margins` are the smallest ones, raw pixels per axis [default: `RAW_MARGIN`].
        """
        before = tuple(margins or (RAW_MARGIN,) * len(shape))
        units = [unit] * len(shape) if isinstance(unit, int) else unit
        smallest = [least] * len(shape) if isinstance(least, int) else least
        after = []
        for n, m, u, low, q in zip(
            shape, before, units, smallest, zooms(zoom, len(shape)), strict=True
        ):
            total = max(q * (n + 2 * m), low)
            while total % u or total % q:
                total += 1
            after.append(total // q - n - m)
        return cls(tuple(shape), zoom, tuple(after), before)

    @property
    def origin(self) -> tuple[int, ...]:
        """Position of the padded image's first pixel, in image pixels."""
        return tuple(-m * q for m, q in zip(self.before, self.zooms, strict=True))

    @property
    def zooms(self) -> tuple[int, ...]:
        """Image pixels per raw pixel along every axis."""
        return zooms(self.zoom, len(self.shape))

    @property
    def inner_image_shape(self) -> tuple[int, ...]:
        """Shape of images before they are padded."""
        return tuple(n * q for n, q in zip(self.shape, self.zooms, strict=True))

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Shape of padded images."""
        sizes = zip(self.shape, self.before, self.after, self.zooms, strict=True)
        return tuple((n + b + a) * q for n, b, a, q in sizes)

    def _widths(self, factors: Sequence[int]) -> list[tuple[int, int]]:
        sizes = zip(self.before, self.after, factors, strict=True)
        return [(b * q, a * q) for b, a, q in sizes]

    def _inside(self, factors: Sequence[int]) -> tuple[slice | EllipsisType, ...]:
        sizes = zip(self.shape, self.before, factors, strict=True)
        return (..., *(slice(b * q, (b + n) * q) for n, b, q in sizes))

    def image(self, picture: np.ndarray) -> np.ndarray:
        """Mirror-extend an image (zoom·Y, zoom·X)."""
        return np.pad(picture, self._widths(self.zooms), mode="symmetric")

    def frames(self, frames: np.ndarray) -> np.ndarray:
        """Zero-extend raw frames or weights (…, Y, X)."""
        lead = [(0, 0)] * (frames.ndim - len(self.shape))
        return np.pad(frames, [*lead, *self._widths(zooms(1, len(self.shape)))])

    def crop_image(self, padded: np.ndarray) -> np.ndarray:
        """The field inside a padded image."""
        return np.asarray(padded[self._inside(self.zooms)])

    def crop_frames(self, padded: np.ndarray) -> np.ndarray:
        """The field inside padded frames."""
        return np.asarray(padded[self._inside(zooms(1, len(self.shape)))])

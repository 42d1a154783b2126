"""The SIM forward model on patches, differentiable: sharp object → expected raw frames.

    frame_j = decimate[ H ⊛ ( f · g_j (1 + Σ_m c_m cos(2π m p·r + m φ_j)) ) ]       physics.md §1

evaluated directly on the super-resolution grid. The engine's ``Reconstructor.forward`` computes
the same through demodulated bands; a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from zsdeconv.bridge import to_tensor

Transfer = Callable[[np.ndarray, np.ndarray], np.ndarray]
Local = Callable[[np.ndarray, np.ndarray, int], np.ndarray]


@dataclass(frozen=True)
class Illumination:
    """Pattern of one raw frame.

    Attributes
    ----------
    frequency_per_um : (float, float)
        Fundamental [fy, fx], cycles/µm.
    phase_rad : float
        Phase of the fundamental at the centre of raw pixel (0, 0).
    modulation : tuple of float
        Contrast of order 1, 2, ….
    intensity : float
        Relative brightness of the frame.
    drift_um : (float, float)
        Displacement (y, x) of the object in this frame; the pattern stays.
    local : callable or None
        ``local(y_um, x_um, order)``: complex deviation of an order's carrier, shape (Y, X).
    """

    frequency_per_um: tuple[float, float]
    phase_rad: float
    modulation: tuple[float, ...]
    intensity: float
    drift_um: tuple[float, float] = (0.0, 0.0)
    local: Local | None = None

    @property
    def object_phase_rad(self) -> float:
        """Phase of the pattern on the object: displaced by u it meets ``φ + 2π p·u``."""
        (fy, fx), (uy, ux) = self.frequency_per_um, self.drift_um
        return self.phase_rad + 2 * np.pi * (fy * uy + fx * ux)


class SimForward:
    """Expected raw frames of patches of an object.

    Parameters
    ----------
    illuminations
        One per raw frame, in frame order.
    transfer
        ``transfer(ky, kx)``: the detection OTF at frequencies in cycles/µm.
    cutoff_per_um
        Radius beyond which it is zero.
    pixel_um
        Raw pixel.
    zoom
        Object pixels per raw pixel and axis.
    device
        Where the patches live.
    """

    def __init__(
        self,
        illuminations: Sequence[Illumination],
        transfer: Transfer,
        cutoff_per_um: float,
        pixel_um: float,
        zoom: int,
        device: torch.device | str = "cpu",
    ) -> None:
        self.illuminations = tuple(illuminations)
        self.pixel_um, self.zoom = pixel_um, zoom
        self.device = torch.device(device)
        self._transfer = transfer
        self._band_limited = cutoff_per_um < 0.5 / pixel_um
        self._filters: dict[tuple[int, int], torch.Tensor] = {}
        self._field: tuple[tuple[int, ...], torch.Tensor] | None = None

    @property
    def frames(self) -> int:
        """Number of raw frames."""
        return len(self.illuminations)

    def prepare(self, origin: tuple[int, ...], shape: tuple[int, ...]) -> None:
        """Keep the light on one field, so that patches inside it are cut from it."""
        self._field = (origin, self._compute_patterns(origin, shape))

    def patterns(self, origin: tuple[int, ...], shape: tuple[int, ...]) -> torch.Tensor:
        """Light on object pixels ``origin + (0…shape)``; float32, (frames, Y, X).

        `origin` counts object pixels from the first one of raw pixel (0, 0); negative is outside.
        """
        if self._field is not None:
            (y0, x0), field = self._field
            y, x = origin[0] - y0, origin[1] - x0
            if min(y, x) >= 0 and y + shape[0] <= field.shape[1] and x + shape[1] <= field.shape[2]:
                return field[:, y : y + shape[0], x : x + shape[1]]
        return self._compute_patterns(origin, shape)

    def _compute_patterns(self, origin: tuple[int, ...], shape: tuple[int, ...]) -> torch.Tensor:
        y, x = (
            ((np.arange(n) + o + 0.5) / self.zoom - 0.5) * self.pixel_um
            for o, n in zip(origin, shape, strict=True)
        )
        frames = np.empty((self.frames, *shape), np.float32)
        for frame, light in zip(frames, self.illuminations, strict=True):
            fy, fx = light.frequency_per_um
            turn_y = 2 * np.pi * fy * y[:, None] + light.object_phase_rad
            turn_x = 2 * np.pi * fx * x[None, :]
            wave = np.ones(shape)
            for order, contrast in enumerate(light.modulation, start=1):
                carrier = np.exp(1j * order * turn_y) * np.exp(1j * order * turn_x)
                if light.local is not None:
                    carrier = carrier * light.local(
                        y + light.drift_um[0], x + light.drift_um[1], order
                    )
                wave += contrast * carrier.real
            frame[...] = light.intensity * wave
        return to_tensor(frames, self.device)

    def _filter(self, shape: tuple[int, int]) -> torch.Tensor:
        """OTF with the shift from object to raw pixel centres (and the decimation's 1/q²).

        Where the object drifts, one per frame, which moves the lit object to its place.
        """
        if shape not in self._filters:
            pitch = self.pixel_um / self.zoom
            ky = np.fft.fftfreq(shape[0], pitch)[:, None]
            kx = np.fft.rfftfreq(shape[1], pitch)[None, :]
            shift = 0.5 * (self.zoom - 1) * pitch
            values = self._transfer(ky, kx) * np.exp(2j * np.pi * shift * (ky + kx))
            if any(light.drift_um != (0.0, 0.0) for light in self.illuminations):
                uy, ux = np.array([light.drift_um for light in self.illuminations]).T[
                    ..., None, None
                ]
                values = values * np.exp(-2j * np.pi * (uy * ky + ux * kx))
            if self._band_limited:
                low, high, half = self._low(shape)
                values = np.concatenate(
                    (values[..., :low, :], values[..., shape[0] - high :, :]), -2
                )
                values = values[..., :half] / self.zoom**2
            self._filters[shape] = to_tensor(values.astype(np.complex64), self.device)
        return self._filters[shape]

    def _low(self, shape: tuple[int, int]) -> tuple[int, int, int]:
        """Rows at the start and at the end, and columns, that the raw grid can hold."""
        rows = shape[0] // self.zoom
        return rows - rows // 2, rows // 2, shape[1] // self.zoom // 2 + 1

    def __call__(self, objects: torch.Tensor, origins: Sequence[tuple[int, ...]]) -> torch.Tensor:
        """Expected frames.

        Parameters
        ----------
        objects : tensor, shape (B, 1, Y, X), float32
            Photo-electrons per raw pixel area; Y and X multiples of the zoom. Periodic: a
            margin of a few PSF widths is not valid.
        origins
            Patch positions in object pixels (see :meth:`patterns`), multiples of the zoom.

        Returns
        -------
        tensor, shape (B, frames, Y/zoom, X/zoom)
        """
        shape = (int(objects.shape[-2]), int(objects.shape[-1]))
        light = torch.stack([self.patterns(o, shape) for o in origins])
        spectrum = torch.fft.rfft2(objects * light)
        if not self._band_limited:
            full: torch.Tensor = torch.fft.irfft2(spectrum * self._filter(shape), s=shape)
            return full[..., :: self.zoom, :: self.zoom]
        low, high, half = self._low(shape)
        spectrum = torch.cat(
            (spectrum[..., :low, :half], spectrum[..., shape[0] - high :, :half]), dim=-2
        )
        raw = (shape[0] // self.zoom, shape[1] // self.zoom)
        frames: torch.Tensor = torch.fft.irfft2(spectrum * self._filter(shape), s=raw)
        return frames

    def transpose(self, frames: torch.Tensor, origin: tuple[int, ...]) -> torch.Tensor:
        """Transpose of the linear map for one patch: (frames, Y, X) → (zoom·Y, zoom·X)."""
        q = self.zoom
        shape = (int(frames.shape[-2]) * q, int(frames.shape[-1]) * q)
        conjugate = torch.conj(self._filter(shape))
        if self._band_limited:
            low, high, half = self._low(shape)
            part = torch.fft.rfft2(frames) * (conjugate * q**2)
            spectrum = part.new_zeros((frames.shape[0], shape[0], shape[1] // 2 + 1))
            spectrum[:, :low, :half] = part[:, :low]
            spectrum[:, shape[0] - high :, :half] = part[:, low:]
        else:
            stuffed = frames.new_zeros((frames.shape[0], *shape))
            stuffed[:, ::q, ::q] = frames
            spectrum = torch.fft.rfft2(stuffed) * conjugate
        back: torch.Tensor = torch.fft.irfft2(spectrum, s=shape)
        return (back * self.patterns(origin, shape)).sum(dim=0)

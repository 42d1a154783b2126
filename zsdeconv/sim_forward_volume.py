"""The forward model of SIM volumes on patches, differentiable: sharp object → expected raw frames.

    frame_j = g_j Re Σ_m c_m e^{i m φ_j} e^{2πi m p·r} [ F⁻¹{ H_m(k + m p) S(k) } ](r)

summed over the orders m = 0, 1, …: h_m ⊛ (S cos(m(2π p·r + φ_j))), each with its own OTF
(physics.md §2), but the object is transformed once for all frames and every order is sampled on
the raw grid only. The engine's ``Reconstructor.forward`` is the same map for whole fields with
mirror images outside; a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch

from simrecon.model.grid import VolumeGrid
from simrecon.model.pattern import DirectionPattern, PatternFit
from zsdeconv.bridge import to_tensor

Transfer = Callable[[int, int, np.ndarray, np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class _Window:
    """Raw frequencies: their places in the object's spectrum, and ``H_m(k + m p)`` there."""

    rows: torch.Tensor
    columns: torch.Tensor
    transfer: torch.Tensor


class VolumeSimForward:
    """Expected raw frames of patches of a volume.

    Parameters
    ----------
    pattern
        Directions; frames in their order, phases fastest.
    transfer
        ``transfer(direction, order, kz, ky, kx)``: the OTF of an order at frequencies in space,
        cycles/µm.
    one_otf
        It is the same for all directions, so that they share order 0.
    grid
        Raw grid; its pixel (0, 0) is where phases refer to.
    zoom
        Object pixels per raw pixel and lateral axis.
    device
        Where the patches live.
    """

    def __init__(
        self,
        pattern: PatternFit,
        transfer: Transfer,
        one_otf: bool,
        grid: VolumeGrid,
        zoom: int,
        device: torch.device | str = "cpu",
    ) -> None:
        self.grid, self.zoom = grid, zoom
        self.device = torch.device(device)
        self._directions = pattern.directions
        self._transfer, self._one_otf = transfer, one_otf
        self._mixing = [to_tensor(_mixing(d), self.device) for d in pattern.directions]
        self._windows: dict[tuple[int, int, tuple[int, ...]], list[_Window]] = {}

    @property
    def frames(self) -> int:
        """Number of raw frames."""
        return sum(len(d.phase_rad) for d in self._directions)

    def prepare(self, origin: tuple[int, ...], shape: tuple[int, ...]) -> None:
        """Do nothing: carriers are cheap, transfers are kept by patch size."""

    def __call__(self, objects: torch.Tensor, origins: Sequence[tuple[int, ...]]) -> torch.Tensor:
        """Expected frames.

        Parameters
        ----------
        objects : tensor, shape (B, 1, Z, Y, X), float32
            Photo-electrons per raw pixel area; Y and X multiples of the zoom. Periodic: a margin of
            a few PSF widths is not valid.
        origins
            Patch positions (z, y, x) in object pixels from the first one of raw pixel (0, 0),
            multiples of the zoom; the pattern goes with the focal plane, so that z plays no part.

        Returns
        -------
        tensor, shape (B, frames, Z, Y/zoom, X/zoom)
        """
        shape = tuple(int(n) for n in objects.shape[-3:])
        spectrum = torch.fft.fftn(objects[:, 0], dim=(-3, -2, -1))
        made: list[torch.Tensor] = []
        zero: torch.Tensor | None = None
        for d, mixing in enumerate(self._mixing):
            if zero is None or not self._one_otf:
                zero = self._seen(spectrum, d, 0, shape).real
            fields = [zero]
            for m in range(1, len(self._directions[d].modulation) + 1):
                carrier = torch.stack([self._carrier(d, m, o, shape) for o in origins])
                field = self._seen(spectrum, d, m, shape) * carrier[:, None]
                fields += [field.real, field.imag]
            made.append(torch.einsum("pf,bfzyx->bpzyx", mixing, torch.stack(fields, dim=1)))
        return torch.cat(made, dim=1)

    def transpose(self, frames: torch.Tensor, origin: tuple[int, ...]) -> torch.Tensor:
        """Transpose of the linear map for one patch: (frames, Z, Y, X) → (Z, zoom·Y, zoom·X)."""
        planes, rows, columns = (int(n) for n in frames.shape[-3:])
        shape = (planes, rows * self.zoom, columns * self.zoom)
        spectrum = torch.zeros(shape, dtype=torch.complex64, device=frames.device)
        first = 0
        for d, mixing in enumerate(self._mixing):
            own = frames[first : first + len(mixing)]
            first += len(mixing)
            fields = torch.einsum("pf,pzyx->fzyx", mixing, own)
            self._add_back(spectrum, fields[0].to(torch.complex64), d, 0)
            for m in range(1, len(self._directions[d].modulation) + 1):
                field = torch.complex(fields[2 * m - 1], fields[2 * m])
                field = field * torch.conj(self._carrier(d, m, origin, shape))
                self._add_back(spectrum, field, d, m)
        back: torch.Tensor = torch.fft.ifftn(spectrum, dim=(-3, -2, -1)).real
        return back

    def _seen(self, spectrum: torch.Tensor, d: int, m: int, shape: tuple[int, ...]) -> torch.Tensor:
        """One order, demodulated, on the raw grid: (B, Z, Y, X) complex64."""
        total: torch.Tensor | None = None
        for window in self._of(d, m, shape):
            part = spectrum.index_select(-2, window.rows).index_select(-1, window.columns)
            part = part * window.transfer
            total = part if total is None else total + part
        assert total is not None
        found: torch.Tensor = torch.fft.ifftn(total, dim=(-3, -2, -1))
        return found

    def _add_back(self, spectrum: torch.Tensor, field: torch.Tensor, d: int, m: int) -> None:
        """Add the transpose of :meth:`_seen` of one field to the object's spectrum."""
        seen = torch.fft.fftn(field, dim=(-3, -2, -1)) * self.zoom**2
        for window in self._of(d, m, tuple(spectrum.shape)):
            part = torch.conj(window.transfer) * seen
            spectrum[:, window.rows[:, None], window.columns] += part

    def _carrier(
        self, d: int, m: int, origin: tuple[int, ...], shape: tuple[int, ...]
    ) -> torch.Tensor:
        """``exp(2πi m p·r)`` on the raw pixels of a patch, (Y, X) complex64."""
        waves = []
        for f, o, n in zip(
            self._directions[d].frequency_per_um, origin[-2:], shape[-2:], strict=True
        ):
            r = (np.arange(n // self.zoom) + o // self.zoom) * self.grid.pixel_um
            waves.append(np.exp(2j * np.pi * m * f * r).astype(np.complex64))
        y, x = (to_tensor(w, self.device) for w in waves)
        return y[:, None] * x

    def _of(self, d: int, m: int, shape: tuple[int, ...]) -> list[_Window]:
        """Transfer of one order for patches of one size; several windows where the camera folds."""
        key = (d, m, shape)
        if key not in self._windows:
            frequency = self._directions[d].frequency_per_um
            centre = [-m * f for f in frequency]
            aliases = []
            for shift in product((0, -1, 1), repeat=2):
                one = self._window(d, m, shape, centre, shift)
                if one is not None:
                    aliases.append(one)
            self._windows[key] = aliases
        return self._windows[key]

    def _window(
        self, d: int, m: int, shape: tuple[int, ...], centre: list[float], shift: tuple[int, ...]
    ) -> _Window | None:
        """The raw frequencies nearest to −m p, or moved by whole periods of the raw grid."""
        pitch = self.grid.pixel_um / self.zoom
        places, waves, ramps = [], [], []
        for middle, s, fine in zip(centre, shift, shape[-2:], strict=True):
            n = fine // self.zoom
            low = round(middle * fine * pitch) - n // 2
            index = low + (np.arange(n) - low) % n + s * n
            inside = (index >= -(fine // 2)) & (index < fine - fine // 2)
            k = index / (fine * pitch)
            places.append(index % fine)
            waves.append(k)
            # from object pixels to the centres of raw ones, and the decimation's 1/q
            offset = 0.5 * (self.zoom - 1) * pitch
            ramps.append(inside * np.exp(2j * np.pi * k * offset) / self.zoom)
        kz = np.fft.fftfreq(shape[0], self.grid.dz_um)[:, None, None]
        ky, kx = waves[0][None, :, None], waves[1][None, None, :]
        axial = self.grid.axial_in_space(kz, ky, kx)
        values = self._transfer(d, m, axial, ky - centre[0], kx - centre[1])
        values = values * ramps[0][:, None] * ramps[1]
        if not values.any():
            return None
        rows, columns = (to_tensor(p.astype(np.int64), self.device) for p in places)
        with torch.inference_mode(False):  # training uses it as well
            transfer = to_tensor(values.astype(np.complex64), self.device)
            return _Window(rows.clone(), columns.clone(), transfer)


def _mixing(direction: DirectionPattern) -> np.ndarray:
    """Frames from order 0 and from the real and imaginary parts of the others, (P, 2M + 1)."""
    phase, gain = np.asarray(direction.phase_rad), np.asarray(direction.intensity)
    columns = [np.ones_like(phase)]
    for m, contrast in enumerate(direction.modulation, start=1):
        columns += [contrast * np.cos(m * phase), -contrast * np.sin(m * phase)]
    return np.asarray(gain[:, None] * np.stack(columns, axis=1), dtype=np.float32)

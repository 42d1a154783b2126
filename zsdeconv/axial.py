"""Axial super-resolution of a restored volume: what planes show teaches what sections should.

A microscope resolves less along z than laterally, but filaments and vesicles look alike from every
side. So planes of the volume are blurred along one lateral axis and sampled as coarsely as z is: a
small network learns to undo that, and is then applied to the xz and yz sections of the volume,
whose answers are averaged (Qiao, Zeng et al., Nat. Commun. 2024, supplement; the idea is that of
Weigert et al., MICCAI 2017). How much z is blurred more than x is measured: the power of the volume
along z over that along x, for structures without a preferred direction a Gaussian. Run it after
the restoration, on the deconvolved volume.

Structures that *are* different along z (a flat membrane, a cell lying on glass) break the
assumption: the result is a guess with more detail than was measured, and says so in its record.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.interpolate import make_interp_spline
from scipy.ndimage import gaussian_filter1d

from simrecon.errors import InputError
from simrecon.io import write_image
from simrecon.result import Progress, no_progress
from zsdeconv.bridge import select_device, to_host, to_tensor, torch_device
from zsdeconv.config import ZsSettings
from zsdeconv.enhancement import Enhanced
from zsdeconv.models.compact import FoldedUnet
from zsdeconv.outputs import ISOTROPIC

STEPS = 400
MIN_PLANES = 8
_PATCH, _BATCH, _UNIT, _WIDTH = 64, 4, 8, 16
_RATE = 3e-3
_HELD_OUT = 5
_FLOOR = 1e-3


@dataclass(frozen=True)
class Isotropic:
    """A volume with the same pitch along all axes.

    Attributes
    ----------
    volume : ndarray, shape (Z', Y, X), float32
        Not negative where the network made it, as the restored volume is not.
    blur_um : float
        How much more z was blurred than x: standard deviation, µm.
    gain_db : float
        On planes that were not trained on: how much closer to the sharp plane the network comes
        than interpolation does. Where this is not positive, `volume` is the interpolation.
    """

    volume: np.ndarray
    blur_um: float
    gain_db: float

    def sentence(self) -> str:
        """For a report."""
        if self.gain_db > 0:
            return (
                "axial: sections sharpened; planes left out of the training come "
                f"{self.gain_db:.1f} dB closer than by interpolation"
            )
        return (
            f"axial: NOT sharpened, interpolated only: the network gains {self.gain_db:.1f} dB on "
            "planes that it was not trained on"
        )


def isotropic(
    volume: np.ndarray,
    pixel_um: float,
    dz_um: float,
    *,
    steps: int = STEPS,
    seed: int = 0,
    device: torch.device | str = "cpu",
    progress: Progress = no_progress,
) -> Isotropic:
    """Learn from the planes and restore the sections.

    Parameters
    ----------
    volume : ndarray, shape (Z, Y, X)
        Restored, at least `MIN_PLANES` planes of 64 × 64 pixels.
    pixel_um, dz_um
        Pitches; planes may not be closer than pixels.

    Raises
    ------
    InputError
        For smaller volumes, values that are not finite, or planes closer than pixels.
    """
    if volume.ndim != 3 or len(volume) < MIN_PLANES or min(volume.shape[1:]) < _PATCH:
        raise InputError(
            "The volume is too small to learn from its planes.",
            expected=f"at least {MIN_PLANES} planes of {_PATCH} × {_PATCH} pixels",
            got=f"{volume.shape}",
        )
    if not np.isfinite(volume).all():
        raise InputError("The volume has values that are not finite.")
    factor = dz_um / pixel_um
    if factor < 1.0:
        raise InputError(
            "The planes are closer than the pixels: there is nothing to make up for.",
            expected=f"at least {pixel_um:g} µm", got=f"{dz_um:g} µm", where="dz_um",
        )  # fmt: skip
    blur_px = axial_blur_um(volume, pixel_um, dz_um) / pixel_um
    fine = resampled(volume, np.arange(round((len(volume) - 1) * factor) + 1) / factor)
    scale = max(float(np.percentile(volume, 99.5)), 1e-6)
    torch.manual_seed(seed)
    network = FoldedUnet(1, 1, _WIDTH, 1).to(device)
    held_out = np.arange(len(volume)) % _HELD_OUT == _HELD_OUT // 2
    _train(network, volume[~held_out] / scale, factor, blur_px, steps, seed, progress)
    gain_db = _gain_db(network, volume[held_out] / scale, factor, blur_px)
    if gain_db > 0:
        sections = [_restored(network, np.moveaxis(fine, a, 0) / scale) for a in (1, 2)]
        means = [np.moveaxis(s, 0, a) for s, a in zip(sections, (1, 2), strict=True)]
        fine = np.maximum(0.5 * scale * (means[0] + means[1]), 0.0)
    return Isotropic(fine.astype(np.float32), blur_px * pixel_um, gain_db)


def axial_blur_um(volume: np.ndarray, pixel_um: float, dz_um: float) -> float:
    """Standard deviation of the Gaussian that z is blurred with more than x and y, µm.

    From ``ln(P_z/P_x) = c − 4π²σ²k²`` over the frequencies that both axes sample and where either
    has power; 0 where z is not blurred more.
    """
    powers = []
    for axis, pitch in ((0, dz_um), (1, pixel_um), (2, pixel_um)):
        n = volume.shape[axis]
        shape = [1, 1, 1]
        shape[axis] = n
        window = np.hanning(n + 2)[1:-1].reshape(shape)
        lines = (volume - volume.mean()) * window
        power = np.abs(np.fft.rfft(lines, axis=axis)) ** 2
        mean = power.mean(axis=tuple(a for a in range(3) if a != axis)) * pitch / n
        powers.append((np.fft.rfftfreq(n, pitch), mean))
    lateral = 0.5 * (powers[1][1] + np.interp(powers[1][0], *powers[2]))
    k, along = powers[0]
    across = np.interp(k, powers[1][0], lateral)
    used = (k > 1.5 * k[1]) & (across > _FLOOR * across.max()) & (along > _FLOOR * along.max())
    if used.sum() < 3:
        return 0.0
    ratio = np.log(along[used] / across[used])
    slope = np.polyfit(k[used] ** 2, ratio, 1, w=np.sqrt(along[used] / along.max()))[0]
    return float(np.sqrt(max(-slope, 0.0)) / (2.0 * np.pi))


def resampled(stack: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Cubic spline through the first axis, at fractional `places`; mirror images outside."""
    last = len(stack) - 1
    if last == 0:
        return np.repeat(stack, len(places), axis=0)
    spline = make_interp_spline(np.arange(last + 1), stack, k=3, axis=0, bc_type="clamped")
    return np.asarray(spline(last - np.abs(last - np.abs(places))))


def degraded(plane: np.ndarray, factor: float, blur_px: float, offset: float) -> np.ndarray:
    """A plane (Y, X) as if its first axis were z: blurred, sampled, interpolated; same shape.

    `offset` is the position of the first sample, 0…factor.
    """
    blurred = gaussian_filter1d(plane, blur_px, axis=0, mode="reflect") if blur_px > 0 else plane
    samples = np.arange(offset, len(plane) - 1, factor)
    coarse = resampled(blurred, samples)
    return resampled(coarse, (np.arange(len(plane)) - offset) / factor)


def _train(
    network: FoldedUnet,
    planes: np.ndarray,
    factor: float,
    blur_px: float,
    steps: int,
    seed: int,
    progress: Progress,
) -> None:
    """Adam with a cosine; patches of degraded planes, of both lateral axes, mirrored at random."""
    rng = np.random.default_rng(seed)
    device = next(network.parameters()).device
    pairs = []
    for plane in planes:
        for turned in (plane, plane.T):
            offset = factor * rng.random()
            pairs.append((degraded(turned, factor, blur_px, offset), turned))
    optimiser = torch.optim.Adam(network.parameters(), lr=_RATE, betas=(0.9, 0.99))
    for step in range(steps):
        batch = np.empty((_BATCH, 2, _PATCH, _PATCH), dtype=np.float32)
        for made in batch:
            pair = pairs[int(rng.integers(len(pairs)))]
            y, x = (int(rng.integers(n - _PATCH + 1)) for n in pair[1].shape)
            flips = tuple(slice(None, None, int(s)) for s in rng.choice((-1, 1), 2))
            made[:] = np.stack([p[y : y + _PATCH, x : x + _PATCH][flips] for p in pair])
        tensor = to_tensor(batch, device)
        seen, wanted = tensor[:, :1], tensor[:, 1:]
        for group in optimiser.param_groups:
            group["lr"] = _RATE * 0.5 * (1.0 + np.cos(np.pi * step / steps)) + 1e-5
        optimiser.zero_grad(set_to_none=True)
        loss = ((seen + network(seen) - wanted) ** 2).mean()
        loss.backward()
        optimiser.step()
        progress("axial", step + 1, steps)


def _gain_db(network: FoldedUnet, planes: np.ndarray, factor: float, blur_px: float) -> float:
    """Squared error of interpolation over that of the network, on these planes."""
    before = after = 1e-30
    for plane in planes:
        for turned in (plane, plane.T):
            seen = degraded(turned, factor, blur_px, 0.5 * factor)
            made = _restored(network, seen[None])[0]
            before += float(((seen - turned) ** 2).sum())
            after += float(((made - turned) ** 2).sum())
    return float(10.0 * np.log10(before / after))


def _restored(network: FoldedUnet, sections: np.ndarray) -> np.ndarray:
    """Sections (N, z, x) through the network, one by one; any size."""
    device = next(network.parameters()).device
    z, x = sections.shape[1:]
    margin = 2 * _UNIT
    widths = [(margin, margin + -(n + 2 * margin) % _UNIT) for n in (z, x)]
    out = np.empty(sections.shape, dtype=np.float32)
    with torch.inference_mode():
        for index, section in enumerate(sections):
            padded = np.pad(section.astype(np.float32), widths, mode="symmetric")
            seen = to_tensor(padded, device)[None, None]
            made = to_host(seen + network(seen))[0, 0]
            out[index] = made[margin : margin + z, margin : margin + x]
    return out


def write_isotropic(
    enhanced: Enhanced,
    folder: Path,
    settings: ZsSettings,
    provenance: Mapping[str, Any],
    progress: Progress = no_progress,
) -> tuple[Path, str]:
    """Make the isotropic volume of an enhancement, write it beside the other pictures.

    Returns
    -------
    Path
    str
        What was done, for the report.
    """
    assert enhanced.dz_um is not None
    made = isotropic(
        enhanced.deconvolved,
        enhanced.pixel_um,
        enhanced.dz_um,
        seed=settings.seed,
        device=torch_device(select_device(settings.device)),
        progress=progress,
    )
    facts = {
        **provenance,
        "quantity": "object as it is shown, e, sharpened along z with what the planes show: "
        "a guess where structures differ along z",
        "axial_blur_um": made.blur_um,
        "axial_gain_on_held_out_planes_db": made.gain_db,
    }
    path = folder / ISOTROPIC
    write_image(
        path, made.volume, pixel_um=enhanced.pixel_um, dz_um=enhanced.pixel_um, provenance=facts
    )
    return path, made.sentence()

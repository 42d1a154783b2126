"""What a finished training makes of frames: the network's pictures, and its start's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from zsdeconv import symmetry
from zsdeconv.bridge import to_host
from zsdeconv.companion import Companion, takes_part
from zsdeconv.config import ZsSettings
from zsdeconv.infer import apply_network, tile_shape
from zsdeconv.measurement import Measurement, Padding
from zsdeconv.models import Network
from zsdeconv.objective import at_image_grid
from zsdeconv.recorrupt import recorrupt
from zsdeconv.stacking import Copy, Stacking
from zsdeconv.training import Training

_STACKING_ALPHA = 0.5


def stack(run: Training, rng: np.random.Generator) -> None:
    """Find the combination of the network's two pictures on fresh copies (`stacking_draws`).

    Of plain pictures also the share of sparse deconvolution in it.
    """
    m, withheld = run.measurement, run.bank.withheld
    copies, frames = [], []
    for _ in range(run.settings.stacking_draws):
        noise = m.draw_noise(rng)
        for sign in (1, -1):
            copy, partner = recorrupt(m.frames_e, noise, _STACKING_ALPHA, sign)
            pictures = network_pictures(run, copy)
            frames.append(copy)
            copies.append(Copy(*pictures, partner, 1.0 + _STACKING_ALPHA**-2))
    run.stacking = Stacking.fit(m, copies, withheld) if copies else None
    run.companion = None
    if run.stacking is None or withheld is None or not takes_part(m, withheld):
        return
    if run.settings.companion:
        combined = [replace(c, objects=run.stacking(c.denoised, c.objects)) for c in copies]
        run.companion = Companion.fit(m, frames, combined, withheld, rng)


def by_network(run: Training, frames_e: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Denoised image and object of frames (F, Y, X), stacked where that was prepared; e.

    Those of volumes have their surroundings (:meth:`zsdeconv.measurement.Measurement.inside`).
    """
    denoised, objects = network_pictures(run, frames_e)
    if run.stacking is not None:
        objects = run.stacking(denoised, objects)
    return denoised, objects


def network_pictures(run: Training, frames_e: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Denoised image and object of frames (F, Y, X), of volumes with their surroundings; e."""
    views = Views(run.mean, run.settings, run.bank.scale, run.sampler.operations)
    return views(run.sampler.inputs(run.measurement, frames_e), _kept(run))


def _kept(run: Training) -> Padding:
    return kept(run.measurement, run.bank.padding)


def kept(m: Measurement, padding: Padding) -> Padding:
    """What is kept of a padded measurement: the field, or a volume with its surroundings.

    What a volume's planes show cannot be explained without the light from beyond them.
    """
    if m.margins is None:
        return padding
    shape = m.padding.image_shape
    behind = tuple(n - k for n, k in zip(padding.image_shape, shape, strict=True))
    return Padding(shape, 1, behind, (0,) * len(shape))


@dataclass(frozen=True)
class Views:
    """A network and how it is applied.

    Attributes
    ----------
    network
        On the device that computes.
    settings
    scale : float
        Its intensity scale, e.
    operations : tuple of int
        The turned and mirrored fields that the noise spectrum allows (those that the network was
        trained on). The result is the mean over them: their errors differ, the truth does not.
    """

    network: Network
    settings: ZsSettings
    scale: float
    operations: tuple[int, ...]

    def __call__(
        self, inputs: Sequence[tuple[torch.Tensor, torch.Tensor]], padding: Padding
    ) -> tuple[np.ndarray, np.ndarray]:
        """Denoised image and object, cropped to the field; e.

        Parameters
        ----------
        inputs
            Padded images and their classical starts, e, on the network's device: one pair, or
            one for every half of an interleaved volume.
        """
        s = self.settings
        operations = self.operations if s.self_ensemble else (0,)
        total1, total2 = (torch.zeros_like(inputs[0][0]) for _ in range(2))
        for image, start in inputs:
            for op in operations:
                seen, begun = symmetry.apply(image, op), symmetry.apply(start, op)
                made = apply_network(self.network, seen, begun, self.scale, tile_shape(s))
                total1 += symmetry.undo(made[0], op)
                total2 += symmetry.undo(at_image_grid(made[1], s), op)
        first, second = (to_host(t / (len(operations) * len(inputs))) for t in (total1, total2))
        return padding.crop_image(first), padding.crop_image(second)


def by_start(run: Training, frames_e: np.ndarray) -> np.ndarray:
    """Object of frames (F, Y, X) by the classical start alone, kept as the network's; e."""
    return _kept(run).crop_image(to_host(run.bank.classical(frames_e)))


def restored(run: Training, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The network's pictures of the frames themselves, or the mean over re-corruptions of them."""
    s, m = run.settings, run.measurement
    if s.alpha_inference == 0:
        return by_network(run, m.frames_e)
    shape = _kept(run).inner_image_shape
    total1, total2 = np.zeros(shape), np.zeros(shape)
    for _ in range(s.draws):
        noise = m.draw_noise(rng)
        first, second = by_network(run, m.frames_e + np.float32(s.alpha_inference) * noise)
        total1 += first / s.draws
        total2 += second / s.draws
    return total1, total2

"""What a finished training makes of frames: the network's pictures, and its start's."""

from __future__ import annotations

import numpy as np
import torch

from zsdeconv import symmetry
from zsdeconv.bridge import to_host
from zsdeconv.infer import apply_network, tile_shape
from zsdeconv.objective import at_image_grid
from zsdeconv.recorrupt import draw_noise, recorrupt
from zsdeconv.stacking import Copy, Stacking
from zsdeconv.training import Training

_STACKING_ALPHA = 0.5


def stack(run: Training, rng: np.random.Generator) -> None:
    """Find the combination of the network's two pictures on fresh copies (`stacking_draws`)."""
    m = run.measurement
    copies = []
    for _ in range(run.settings.stacking_draws):
        noise = draw_noise(m.variance_e2, rng)
        for sign in (1, -1):
            copy, partner = recorrupt(m.frames_e, noise, _STACKING_ALPHA, sign)
            pictures = network_pictures(run, copy)
            copies.append(Copy(*pictures, partner, 1.0 + _STACKING_ALPHA**-2))
    run.stacking = Stacking.fit(m, copies) if copies else None


def by_network(run: Training, frames_e: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Denoised image and object of frames (F, Y, X), stacked where that was prepared; e."""
    denoised, objects = network_pictures(run, frames_e)
    if run.stacking is not None:
        objects = run.stacking(denoised, objects)
    return denoised, objects


def network_pictures(run: Training, frames_e: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Denoised image and object of frames (F, Y, X), cropped to the field; e.

    The mean over the turned and mirrored fields that the noise spectrum allows (those that the
    network was trained on): their errors differ, the truth does not.
    """
    padding, s = run.bank.padding, run.settings
    operations = run.sampler.operations if s.self_ensemble else (0,)
    total1, total2 = torch.zeros_like(run.bank.image), torch.zeros_like(run.bank.image)
    inputs = run.sampler.inputs(run.measurement, frames_e)
    for image, start in inputs:
        for op in operations:
            seen, begun = symmetry.apply(image, op), symmetry.apply(start, op)
            made = apply_network(run.mean, seen, begun, run.bank.scale, tile_shape(s))
            total1 += symmetry.undo(made[0], op)
            total2 += symmetry.undo(at_image_grid(made[1], s), op)
    first, second = (to_host(t / (len(operations) * len(inputs))) for t in (total1, total2))
    return padding.crop_image(first), padding.crop_image(second)


def by_start(run: Training, frames_e: np.ndarray) -> np.ndarray:
    """Object of frames (F, Y, X) by the classical start alone, cropped to the field; e."""
    return run.bank.padding.crop_image(to_host(run.bank.classical(frames_e)))


def restored(run: Training, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The network's pictures of the frames themselves, or the mean over re-corruptions of them."""
    s, m = run.settings, run.measurement
    if s.alpha_inference == 0:
        return by_network(run, m.frames_e)
    total1, total2 = np.zeros(m.image_shape), np.zeros(m.image_shape)
    for _ in range(s.draws):
        noise = draw_noise(m.variance_e2, rng)
        first, second = by_network(run, m.frames_e + np.float32(s.alpha_inference) * noise)
        total1 += first / s.draws
        total2 += second / s.draws
    return total1, total2

"""The loss of one batch: data term, denoising, re-simulation and priors."""

from __future__ import annotations

import numpy as np
import torch

from zsdeconv import losses, symmetry
from zsdeconv.bridge import to_host
from zsdeconv.config import ZsSettings, field_factor
from zsdeconv.data import resimulate
from zsdeconv.infer import apply_network, tile_shape
from zsdeconv.training import Training

_KEPT_RESIMULATIONS = 3


def batch_loss(run: Training) -> tuple[torch.Tensor, float, float]:
    """Draw one batch: its loss, and for the log its data and re-simulation terms."""
    s, scale = run.settings, run.bank.scale
    batch = run.sampler.pairs()
    seen = [symmetry.apply(i, op) for i, op in zip(batch.image, batch.operations, strict=True)]
    images = torch.stack(seen)
    seen = [symmetry.apply(i, op) for i, op in zip(batch.start, batch.operations, strict=True)]
    starts = torch.stack(seen)
    truth = None
    if s.resimulation > 0 and s.pairs == "recorrupted" and run.fraction >= s.warmup:
        if not run.resimulations or run.iteration % refresh_steps(run) == 0:
            _refresh(run)
        simulated, begun, truth = run.sampler.resimulated(run.resimulations)
        images, starts = torch.cat((images, simulated)), torch.cat((starts, begun))
    with torch.autocast(images.device.type, run.precision, run.precision != torch.float32):
        denoised, objects = run.network(images / scale, starts / scale)
    denoised, objects = denoised.float(), objects.float()
    n = len(batch.operations)
    back = [symmetry.undo(d, op) for d, op in zip(denoised[:n], batch.operations, strict=True)]
    stage1 = torch.stack(back) * scale
    back = [symmetry.undo(f, op) for f, op in zip(objects[:n], batch.operations, strict=True)]
    stage2 = torch.stack(back) * scale
    margins = s.margins(stage1.ndim - 2)
    data = run.term(at_image_grid(stage2, s), batch, margins)
    loss = s.mu * losses.denoising_loss(stage1, batch, margins) + (1.0 - s.mu) * data
    if s.pairs == "interleaved" and s.gap_weight > 0:
        loss = loss + s.gap_weight * losses.gap_loss(run.psf(stage2), batch, margins)
    sigma = run.bank.sigma
    again = 0.0
    if truth is not None:
        restored = at_image_grid(objects[n:], s) * scale
        term = losses.resimulation_loss(restored, truth, sigma, margins)
        loss, again = loss + s.resimulation * term, float(term.detach())
    if s.tv_weight > 0:
        loss = loss + s.tv_weight * losses.total_variation(stage2, sigma, run.measurement.steps)
    if s.hessian_weight > 0:
        loss = loss + s.hessian_weight * losses.hessian_l1(stage2, sigma, run.measurement.steps)
    return loss, float(data.detach()), again


def _refresh(run: Training) -> None:
    """Replace the oldest re-simulation by one of the present estimate."""
    s = run.settings
    pictures = ((run.measurement, run.bank), *run.others)
    chosen = int(run.sampler.rng.integers(len(pictures))) if run.others else 0
    measurement, bank = pictures[chosen]
    objects = apply_network(run.mean, bank.image, bank.start, bank.scale, tile_shape(s))[1]
    estimate = bank.padding.crop_image(to_host(at_image_grid(objects, s)))
    new = resimulate(measurement, bank, estimate, run.sampler.rng)
    run.resimulations = [*run.resimulations[1 - _KEPT_RESIMULATIONS :], new]


def refresh_steps(run: Training) -> int:
    """Steps between re-simulations: in proportion to what one costs."""
    pixels = int(np.prod(run.measurement.image_shape))
    return round(run.settings.refresh * field_factor(pixels))


def at_image_grid(objects: torch.Tensor, settings: ZsSettings) -> torch.Tensor:
    """Mean over 2 × 2 pixels when the object grid is finer than the image's."""
    if not settings.upsample:
        return objects
    lead = objects.shape[:-2]
    flat = objects.reshape(-1, 1, *objects.shape[-2:])
    pooled = torch.nn.functional.avg_pool2d(flat, 2)
    return pooled.reshape(*lead, *pooled.shape[-2:])

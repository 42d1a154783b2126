"""The original's 2-D training by its published settings, for comparisons (Qiao, Zeng et al., 2024).

Written from the description of the method: the two-stage U-Net, pairs ``y ± σz·{α, −1/α}`` with
α ∈ [0.5, 1.5] and σ² from a 5 × 5 mean, joint min–max scaling of every pair, L1 losses with equal
weights for denoising and deconvolution, Hessian weight 0.02, Adam with its rate halved in steps.
The schedule is scaled: 50 000 steps of four 128² patches take days on a CPU, so `steps`, `patch`,
`batch`, the rate and the arithmetic are arguments. ×1 output; pictures are mirror-extended, not
zero-padded.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from scipy.ndimage import uniform_filter

from zsdeconv.bridge import threads, to_host, to_tensor
from zsdeconv.models.unet_paper import PaperUnet
from zsdeconv.psf_layer import PsfLayer

ALPHA = (0.5, 1.5)
HESSIAN = 0.02
MARGIN = 16  # 8 in the paper's text, 16 in its programs
HALVINGS = 5  # 50 000 steps, halved every 10 000


def original(
    counts: np.ndarray,
    psf: np.ndarray,
    *,
    offset: float,
    gain: float,
    read_variance: float,
    steps: int,
    patch: int = 64,
    batch: int = 1,
    lr: float = 2e-4,
    bfloat16: bool = True,
    seed: int = 0,
    every: int = 0,
    look: Callable[[int, np.ndarray, np.ndarray], None] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Denoised and deconvolved picture of one noisy picture, arbitrary units.

    Parameters
    ----------
    counts : ndarray, (Y, X)
        As the camera gave it; `gain` counts per electron, `read_variance` in counts².
    every, look
        `look(step, denoised, deconvolved)` is called every so many steps.
    """
    torch.set_num_threads(threads())
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    network, layer = PaperUnet(), PsfLayer(psf / psf.sum())
    optimiser = torch.optim.Adam(network.parameters(), lr=lr)
    schedule = torch.optim.lr_scheduler.StepLR(optimiser, max(1, steps // HALVINGS), 0.5)
    wide = np.pad(counts.astype(np.float32), MARGIN, mode="symmetric")
    sigma = np.sqrt(gain * np.maximum(uniform_filter(wide, 5) - offset, 0) + read_variance)
    for step in range(1, steps + 1):
        seen, target = _pair(wide, sigma, patch + 2 * MARGIN, batch, rng)
        with torch.autocast("cpu", torch.bfloat16, bfloat16):
            denoised, objects = (p.float() for p in network(seen, seen))
        inner = (slice(None), slice(None), slice(MARGIN, -MARGIN), slice(MARGIN, -MARGIN))
        first = (denoised - target)[inner].abs().mean()
        second = (layer(objects) - target)[inner].abs().mean()
        loss = 0.5 * first + 0.5 * (second + HESSIAN * _hessian(objects))
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        if look is not None and step % every == 0:
            look(step, *_restored(network, wide, counts.shape))
    return _restored(network, wide, counts.shape)


def _restored(
    network: PaperUnet, wide: np.ndarray, shape: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Both pictures (Y, X) of the extended noisy one."""
    with torch.inference_mode():
        full = [-(-n // 16) * 16 for n in wide.shape]
        after = [(0, f - n) for f, n in zip(full, wide.shape, strict=True)]
        field = np.pad(wide, after, mode="symmetric")
        low, high = float(field.min()), float(field.max())
        scaled = to_tensor((field - low) / (high - low))[None, None]
        pictures = [to_host(p[0, 0]) for p in network(scaled, scaled)]
    ny, nx = shape
    first, second = (p[MARGIN : MARGIN + ny, MARGIN : MARGIN + nx] for p in pictures)
    return first, second


def _pair(
    picture: np.ndarray, sigma: np.ndarray, size: int, batch: int, rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Patches of one re-corruption: input and target, each (B, 1, size, size)."""
    alpha = rng.uniform(*ALPHA)
    noise = sigma * rng.standard_normal(picture.shape, dtype=np.float32)
    one, other = picture + alpha * noise, picture - noise / alpha
    low, high = min(one.min(), other.min()), max(one.max(), other.max())
    inputs, targets = [], []
    for _ in range(batch):
        y, x = (int(rng.integers(0, n - size + 1)) for n in picture.shape)
        turn, mirror = int(rng.integers(4)), int(rng.integers(2))
        for found, whole in ((inputs, one), (targets, other)):
            part = np.rot90((whole[y : y + size, x : x + size] - low) / (high - low), turn)
            found.append(part[:, ::-1] if mirror else part)
    pair = [np.stack(p)[:, None].astype(np.float32) for p in (inputs, targets)]
    return to_tensor(pair[0]), to_tensor(pair[1])


def _hessian(objects: torch.Tensor) -> torch.Tensor:
    """½ Σ of the mean squared second differences, xy and yx both counted."""
    dy, dx = torch.diff(objects, dim=-2), torch.diff(objects, dim=-1)
    yy, xx, xy = torch.diff(dy, dim=-2), torch.diff(dx, dim=-1), torch.diff(dy, dim=-1)
    return 0.5 * (yy**2).mean() + 0.5 * (xx**2).mean() + (xy**2).mean()

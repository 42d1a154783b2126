"""A trained network, applied to measurements that it was not trained on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from simrecon.errors import InputError
from zsdeconv.bridge import select_device, to_host, to_tensor, torch_device
from zsdeconv.companion import Companion
from zsdeconv.config import build_settings
from zsdeconv.consistency import flux_factor, raw_consistency
from zsdeconv.infer import per_axis
from zsdeconv.measurement import Measurement, Padding
from zsdeconv.models import build_network, fastest_layout
from zsdeconv.restore import Views, kept
from zsdeconv.stacking import Stacking
from zsdeconv.start import ClassicalStart
from zsdeconv.training import General, patch_shape


@dataclass(frozen=True)
class Predicted:
    """What a trained model makes of one measurement; e on its image's grid.

    Attributes
    ----------
    denoised, deconvolved : ndarray, shape ([Z,] Y, X), float32
    chi2 : float
        Mean of ``(y − expected)²/σ²``: 1 where the object explains the frames.
    flux_ratio : float
        Light out over light in, before `deconvolved` was scaled to that of the frames.
    """

    denoised: np.ndarray
    deconvolved: np.ndarray
    chi2: float
    flux_ratio: float


@dataclass(frozen=True)
class Learned:
    """Everything of a training that restoring needs.

    Attributes
    ----------
    views : Views
        The network and how it is applied.
    start_iterations : int
        Of the classical start that it expects.
    stacking : Stacking or None
        How its two pictures are combined.
    companion : Companion or None
        How sparse deconvolution takes part.
    start_only : bool
        The network lost against its classical start, which is the object instead.
    """

    views: Views
    start_iterations: int
    stacking: Stacking | None
    start_only: bool = False
    companion: Companion | None = None

    @classmethod
    def of(
        cls,
        weights: Mapping[str, torch.Tensor],
        facts: Mapping[str, Any],
        cutoff_px: float | tuple[float, ...],
        *,
        device: str = "auto",
        tile: int | None = None,
    ) -> Learned:
        """From weights and card of a model.

        Parameters
        ----------
        weights, facts
            See :class:`zsdeconv.enhancement.Enhanced`.
        cutoff_px
            Cut-off of the linear picture, cycles per image pixel (of a volume: per axis).
        device, tile
            Where it computes, and the longest side of a tile [default: the settings'].

        Raises
        ------
        InputError
            Weights that do not belong to the network that the card names.
        """
        settings = build_settings(**{**facts["settings"], "device": device})
        if tile is not None:
            settings = settings.model_copy(update={"tile": tile})
        network = build_network(settings)
        try:
            network.load_state_dict(dict(weights))
        except RuntimeError as error:
            raise InputError(
                "The weights do not fit the network that the card names.",
                got=str(error).splitlines()[0],
            ) from error
        network = fastest_layout(network.to(torch_device(select_device(device))))
        rings, second = facts["stacking"], facts.get("companion")
        return cls(
            Views(network, settings, float(facts["scale"]), tuple(facts["operations"])),
            int(facts["start_iterations"]),
            None if rings is None else Stacking(np.asarray(rings), cutoff_px),
            bool(facts.get("start_only", False)),
            None if second is None else Companion(int(second["iterations"]), second["share"]),
        )

    @property
    def general(self) -> General:
        """What another training starts from."""
        weights = {k: v.cpu() for k, v in self.views.network.state_dict().items()}
        return General(weights, self.views.scale, self.start_iterations)

    def __call__(self, m: Measurement) -> Predicted:
        """Denoise and deconvolve one measurement."""
        network = self.views.network
        multiples = per_axis(network.multiple, len(m.image_shape))
        _, units = patch_shape(self.views.settings, m.zoom, multiples)
        padding = Padding.around(m.frames_e.shape[1:], m.zoom, units, margins=m.margins)
        classical = ClassicalStart(m, padding, iterations=self.start_iterations)
        device = next(network.parameters()).device
        with torch.inference_mode():
            seen = to_tensor(padding.image(m.image), device)
            begun = classical(m.frames_e).to(device)
            denoised, objects = self.views([(seen, begun)], kept(m, padding))
        if self.start_only:
            objects = kept(m, padding).crop_image(to_host(begun))
        elif self.stacking is not None:
            objects = self.stacking(denoised, objects)
        factor = flux_factor(m, objects)
        objects = (factor * objects).astype(np.float32)
        chi2 = raw_consistency(m, objects).chi2
        shown = m.shown(objects)
        if self.companion is not None and not self.start_only:
            shown = self.companion(m, shown)
        return Predicted(m.inside(denoised).astype(np.float32), m.inside(shown), chi2, 1.0 / factor)

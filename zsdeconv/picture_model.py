"""A model of plain pictures: read from its folder, checked against its use, applied."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from simrecon.errors import InputError
from simrecon.model.camera import Camera
from zsdeconv import checkpoint
from zsdeconv.bridge import select_device, to_tensor, torch_device
from zsdeconv.config import ZsSettings, build_settings
from zsdeconv.consistency import flux_factor, raw_consistency
from zsdeconv.enhancement import Enhanced
from zsdeconv.imaging import Imaging
from zsdeconv.measurement import Padding
from zsdeconv.models import build_network
from zsdeconv.restore import Views
from zsdeconv.stacking import Stacking
from zsdeconv.start import ClassicalStart
from zsdeconv.training import General

TOLERANCE = 0.02
"""Relative difference of pixel and emission wavelength that is another set-up."""
_PREFIX = "imaging."


@dataclass(frozen=True)
class Predicted:
    """A picture restored by a trained model; e on the picture's grid.

    Attributes
    ----------
    denoised, deconvolved : ndarray, shape (Y, X), float32
    chi2 : float
        Mean of ``(y − expected)²/σ²``: 1 where the object explains the picture.
    flux_ratio : float
        Light out over light in, before `deconvolved` was scaled to the picture's.
    """

    denoised: np.ndarray
    deconvolved: np.ndarray
    chi2: float
    flux_ratio: float


@dataclass(frozen=True)
class PictureModel:
    """A trained model with what its pictures have in common.

    Attributes
    ----------
    views : Views
        The network and how it is applied.
    imaging : Imaging
    stacking : Stacking or None
    facts : mapping
        The card.
    """

    views: Views
    imaging: Imaging
    stacking: Stacking | None
    facts: dict[str, Any]

    @classmethod
    def read(
        cls, folder: Path, *, camera: Camera | None = None, device: str = "auto",
        tile: int | None = None,
    ) -> PictureModel:  # fmt: skip
        """The model in a folder, or in the folder's ``model``.

        Raises
        ------
        InputError
            No model, a damaged or changed one, or one of SIM pictures.
        """
        tensors, facts = checkpoint.read_model(model_folder(folder))
        if facts.get("kind") != "image" or "imaging" not in facts:
            raise InputError(
                "The model was not trained on pictures.",
                expected="a model of 'zsdeconv train' or 'zsdeconv image'",
                got=f"a model of kind {facts.get('kind', 'unknown')}",
                where=str(folder),
                hint="raw SIM frames are enhanced by 'zsdeconv sim'",
            )
        settings = build_settings(**{**facts["settings"], "device": device})
        if tile is not None:
            settings = settings.model_copy(update={"tile": tile})
        network = build_network(settings)
        weights = {k: v for k, v in tensors.items() if not k.startswith(_PREFIX)}
        try:
            network.load_state_dict(weights)
        except RuntimeError as error:
            raise InputError(
                "The weights do not fit the network that the card names.",
                got=str(error).splitlines()[0], where=str(folder),
            ) from error  # fmt: skip
        network = network.to(torch_device(select_device(device)))
        imaging = Imaging.from_card(facts["imaging"], tensors, camera)
        weights_of_rings = facts["stacking"]
        return cls(
            Views(network, settings, float(facts["scale"]), tuple(facts["operations"])),
            imaging,
            None if weights_of_rings is None
            else Stacking(np.asarray(weights_of_rings), imaging.cutoff_px),
            facts,
        )  # fmt: skip

    @property
    def general(self) -> General:
        """What adaptation starts from."""
        weights = {k: v.cpu() for k, v in self.views.network.state_dict().items()}
        return General(weights, self.views.scale, int(self.facts["start_iterations"]))

    @property
    def settings(self) -> ZsSettings:
        """Of its training."""
        return self.views.settings

    def check_use(self, pixel_um: float | None, emission_nm: float | None, where: str) -> None:
        """Refuse pictures of another set-up, as far as they say what they are.

        Raises
        ------
        InputError
            Another pixel size or emission wavelength.
        """
        known = self.facts["imaging"]
        pairs = (
            ("pixel size", known["raw_pixel_um"], pixel_um, "µm"),
            ("emission wavelength", known.get("emission_nm"), emission_nm, "nm"),
        )
        for name, trained, found, unit in pairs:
            if trained and found and abs(found / trained - 1.0) > TOLERANCE:
                raise InputError(
                    f"The model belongs to another {name}.",
                    expected=f"{trained:g} {unit}, as the model was trained for",
                    got=f"{found:g} {unit}",
                    where=where,
                    hint="train a model on such pictures ('zsdeconv train')",
                )

    def predict(self, counts: np.ndarray) -> Predicted:
        """Denoise and deconvolve one picture (Y, X) in counts."""
        m = self.imaging.measure(counts, self.settings.shown_cutoff)
        network = self.views.network
        padding = Padding.around(m.frames_e.shape[1:], m.zoom, network.multiple)
        classical = ClassicalStart(m, padding, iterations=int(self.facts["start_iterations"]))
        device = next(network.parameters()).device
        with torch.inference_mode():
            seen = to_tensor(padding.image(m.image), device)
            begun = classical(m.frames_e).to(device)
            denoised, objects = self.views([(seen, begun)], padding)
        if self.stacking is not None:
            objects = self.stacking(denoised, objects)
        factor = flux_factor(m, objects)
        objects = (factor * objects).astype(np.float32)
        chi2 = raw_consistency(m, objects).chi2
        return Predicted(denoised.astype(np.float32), m.shown(objects), chi2, 1.0 / factor)


def model_folder(folder: Path) -> Path:
    """The folder with the model itself, for the folder of an enhancement too."""
    if (folder / checkpoint.MODEL_FILE).exists():
        return folder
    return folder / "model"


def adaptation(settings: ZsSettings, iterations: int) -> ZsSettings:
    """Settings of a test-time adaptation: few steps on one picture, no maps of trust."""
    changed = {
        "iterations": iterations, "budget_s": None, "uncertainty_draws": 0, "pairs": "recorrupted",
    }  # fmt: skip
    return settings.model_copy(update=changed)


def with_card(enhanced: Enhanced, imaging: Imaging) -> Enhanced:
    """The enhancement, whose model can be used on other pictures."""
    return replace(
        enhanced,
        model={**enhanced.model, **imaging.tensors()},
        model_facts={**enhanced.model_facts, "imaging": imaging.card()},
    )

"""A model of plain pictures: read from its folder, checked against its use, applied."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from simrecon.errors import InputError
from simrecon.model.camera import Camera
from zsdeconv import checkpoint
from zsdeconv.config import ZsSettings
from zsdeconv.enhancement import Enhanced
from zsdeconv.imaging import Imaging
from zsdeconv.learned import Learned, Predicted
from zsdeconv.training import General

TOLERANCE = 0.02
"""Relative difference of pixel and emission wavelength that is another set-up."""
_PREFIX = "imaging."


@dataclass(frozen=True)
class PictureModel:
    """A trained model with what its pictures have in common.

    Attributes
    ----------
    learned : Learned
        The network and how it is applied.
    imaging : Imaging
    facts : mapping
        The card.
    """

    learned: Learned
    imaging: Imaging
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
        tensors, facts = checkpoint.read_model(checkpoint.model_folder(folder))
        if facts.get("kind") != "image" or "imaging" not in facts:
            raise InputError(
                "The model was not trained on pictures.",
                expected="a model of 'zsdeconv train' or 'zsdeconv image'",
                got=f"a model of kind {facts.get('kind', 'unknown')}",
                where=str(folder),
                hint="raw SIM frames are enhanced by 'zsdeconv sim'",
            )
        imaging = Imaging.from_card(facts["imaging"], tensors, camera)
        weights = {k: v for k, v in tensors.items() if not k.startswith(_PREFIX)}
        learned = Learned.of(weights, facts, imaging.cutoff_px, device=device, tile=tile)
        return cls(learned, imaging, facts)

    @property
    def general(self) -> General:
        """What adaptation starts from."""
        return self.learned.general

    @property
    def settings(self) -> ZsSettings:
        """Of its training."""
        return self.learned.views.settings

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
        return self.learned(self.imaging.measure(counts, self.settings.shown_cutoff))


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

"""A model of SIM pictures: read from its folder, checked against its use, applied or adapted."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from simrecon.errors import InputError
from zsdeconv import checkpoint
from zsdeconv.config import ZsSettings
from zsdeconv.enhancement import enhance
from zsdeconv.learned import Learned, Predicted
from zsdeconv.measurement import Measurement
from zsdeconv.picture_model import TOLERANCE, adaptation
from zsdeconv.picture_training import as_predicted
from zsdeconv.stacking import Stacking

CUTOFF_TOLERANCE = 0.05
"""Relative difference of the linear picture's cut-off that is another microscope. Periods that
differ by 5 % move it by some 2.5 %, another NA or colour by 7 % and more."""


@dataclass(frozen=True)
class SimModel:
    """A trained model of ``zsdeconv sim``, for other recordings of the same set-up.

    Attributes
    ----------
    learned : Learned
        The network and how it is applied.
    facts : mapping
        The card.
    """

    learned: Learned
    facts: dict[str, Any]

    @classmethod
    def read(cls, folder: Path, *, device: str = "auto") -> SimModel:
        """The model in a folder, or in the folder's ``model``.

        Raises
        ------
        InputError
            No model, a damaged or changed one, one of plain pictures or of plain volumes, or one of
            an earlier version.
        """
        weights, facts = checkpoint.read_model(checkpoint.model_folder(folder))
        if facts.get("kind") != "sim":
            raise InputError(
                "The model was not trained on SIM frames.", expected="a model of 'zsdeconv sim'",
                got=f"a model of kind {facts.get('kind', 'unknown')}", where=str(folder),
                hint="plain pictures: 'zsdeconv predict'",
            )  # fmt: skip
        if "image_cutoff_px" not in facts:
            raise InputError(
                "The model does not say what it was trained for.",
                expected="a model of this version of 'zsdeconv sim'",
                got="one without the cut-off of its picture", where=str(folder),
                hint="train it again",
            )  # fmt: skip
        cutoff = facts["image_cutoff_px"]
        cutoff_px = tuple(cutoff) if isinstance(cutoff, list) else cutoff
        return cls(Learned.of(weights, facts, cutoff_px, device=device), facts)

    @property
    def settings(self) -> ZsSettings:
        """Of its training, on this device."""
        return self.learned.views.settings

    def check_use(self, m: Measurement) -> None:
        """Refuse a recording of another set-up.

        Raises
        ------
        InputError
            Planes for a model of volumes or the reverse; another pixel of the picture, distance of
            planes, or cut-off.
        """
        trained_dz, dz = self.facts.get("dz_um"), m.dz_um
        pairs = [("pixel size of the picture", self.facts["pixel_um"], m.pixel_um / m.zoom)]
        if trained_dz is not None and dz is not None:
            pairs.append(("distance of planes", trained_dz, dz))
        elif trained_dz != dz:
            kinds = {True: "single planes", False: "volumes"}
            raise self._other("kind", kinds[trained_dz is None], kinds[dz is None])
        for name, trained, found in pairs:
            if abs(found / trained - 1.0) > TOLERANCE:
                raise self._other(name, f"{trained:.4g} µm", f"{found:.4g} µm")
        known, own = (np.atleast_1d(v) for v in (self.facts["image_cutoff_px"], m.image_cutoff_px))
        if np.abs(own / known - 1.0).max() > CUTOFF_TOLERANCE:
            said = (", ".join(f"{v:.3f}" for v in one) + " per pixel" for one in (known, own))
            raise self._other("cut-off (NA, wavelength or period)", *said)

    def predict(self, m: Measurement) -> Predicted:
        """Denoise and deconvolve one acquisition."""
        self.check_use(m)
        learned = self.learned
        if learned.stacking is not None:
            fitting = Stacking(learned.stacking.weights, m.image_cutoff_px)
            learned = replace(learned, stacking=fitting)
        return learned(m)

    def adapted(self, m: Measurement, iterations: int) -> Predicted:
        """The same by a copy of the model that some steps on this very acquisition made."""
        self.check_use(m)
        settings = adaptation(self.settings, iterations)
        return as_predicted(enhance(m, settings, general=self.learned.general))

    def _other(self, what: str, trained: str, found: str) -> InputError:
        return InputError(
            f"The model belongs to another {what}.",
            expected=f"{trained}, as the model was trained for", got=found, where="--model",
            hint="train on this recording: 'zsdeconv sim' without --model",
        )  # fmt: skip

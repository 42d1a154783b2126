"""How plain pictures came about: optics, camera and noise; and pictures as measurements."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from simrecon.errors import InputError
from simrecon.model.camera import Camera
from simrecon.model.noise import FrameNoise
from zsdeconv.bad_pixels import mended
from zsdeconv.bridge import to_host, to_tensor
from zsdeconv.measurement import Measurement, fitted_share
from zsdeconv.pairs_image import camera_measurement, checked, image_measurement
from zsdeconv.pairs_sim import ideal_psf
from zsdeconv.upsampling import on_camera_grid, upsampled

_KEYS = ("psf", "noise_kernel", "columns", "rows")


@dataclass(frozen=True)
class Imaging:
    """What all pictures of a set have in common.

    Attributes
    ----------
    pixel_um : float
    psf : ndarray, shape (n, m)
        On the object's grid, centred, sum 1.
    cutoff_per_um : float
        Cut-off of the pictures' optics.
    camera : Camera
    shot_noise : bool
        False: noise of one size, `camera.read_noise_e`, everywhere.
    noise_kernel : ndarray or None
        Filter of correlated noise.
    zoom : int
        Object pixels per camera pixel and axis.
    columns, rows : ndarray, shape (X,), (Y,), or None
        Fixed pattern of the camera window in counts, taken off every picture.
    facts : mapping
        JSON-ready: NA, wavelengths, kind of microscope, where PSF and camera come from.
    doubts : tuple of str
        Why the verdict can only be weak.
    """

    pixel_um: float
    psf: np.ndarray
    cutoff_per_um: float
    camera: Camera
    shot_noise: bool = True
    noise_kernel: np.ndarray | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    doubts: tuple[str, ...] = ()
    columns: np.ndarray | None = None
    rows: np.ndarray | None = None
    zoom: int = 1

    @property
    def cutoff_px(self) -> float:
        """Cut-off in cycles per object pixel, at most that of the camera grid's sides."""
        return min(self.cutoff_per_um * self.pixel_um, 0.5) / self.zoom

    @property
    def fitted(self) -> float:
        """See :attr:`zsdeconv.measurement.Measurement.fitted`."""
        return fitted_share(self.cutoff_px * self.zoom)

    def measure(self, counts: np.ndarray, shown_cutoff: float = 1.5) -> Measurement:
        """A picture (Y, X) in counts as a measurement.

        Parameters
        ----------
        shown_cutoff
            Resolution of what is shown, over that of the picture; at most what its grid can
            hold; 0: objects as they are.

        Raises
        ------
        InputError
            Not finite, not real, too small, constant.
        """
        picture = self.without_lines(checked(counts))
        camera = self.camera
        if camera.map_shape is not None and camera.map_shape != picture.shape:
            raise InputError(
                "The camera's maps do not fit the picture.",
                expected=f"maps of {picture.shape}",
                got=str(camera.map_shape),
                hint="make the record with the same camera window (ROI) and binning",
            )
        picture, camera = mended(picture, camera)
        shown = min(shown_cutoff * self.cutoff_px, 0.5)
        psf = self.psf if self.zoom == 1 else on_camera_grid(self.psf, self.zoom)
        if self.shot_noise:
            made = camera_measurement(picture, psf, self.pixel_um, camera)
        else:
            # (the classical start alone takes shot noise on top: it cannot do without)
            variance = float(np.mean(np.asarray(camera.read_noise_e))) ** 2
            made = image_measurement(camera.electrons(picture), variance, psf, self.pixel_um)
            made = replace(made, noise=FrameNoise(variance))
        if self.zoom > 1:
            made = upsampled(made, self.psf, self.zoom)
        return replace(
            made,
            image_cutoff_px=self.cutoff_px,
            shown_psf=ideal_psf(shown, len(self.psf)) if shown_cutoff > 0 else None,
            noise_kernel=self.noise_kernel,
            doubts=self.doubts,
        )

    def without_lines(self, counts: np.ndarray) -> np.ndarray:
        """A picture (Y, X) in counts without the fixed pattern, if one is known.

        Raises
        ------
        InputError
            The picture is of another camera window than the pattern.
        """
        if self.columns is None or self.rows is None:
            return counts
        window = (len(self.rows), len(self.columns))
        if counts.shape != window:
            raise InputError(
                "The fixed pattern does not fit the picture.",
                expected=f"pictures of {window}, the camera window that its lines belong to",
                got=str(counts.shape),
                hint="train on pictures of this window, or without --fixed-pattern",
            )
        return np.asarray(counts - self.columns[None, :] - self.rows[:, None])

    def card(self) -> dict[str, Any]:
        """What a model must be told to be used again, JSON-ready; arrays are in `tensors`."""
        return {
            **self.facts,
            "raw_pixel_um": self.pixel_um,
            "cutoff_per_um": self.cutoff_per_um,
            "upsampling": self.zoom,
            "camera": {**self.camera.summary(), "source": self.camera.source,
                       "maps": self.camera.map_shape is not None},
            "shot_noise": self.shot_noise,
            "doubts": list(self.doubts),
        }  # fmt: skip

    def tensors(self) -> dict[str, torch.Tensor]:
        """PSF, noise filter and fixed pattern for the model file."""
        values = {k: getattr(self, k) for k in _KEYS}
        return {f"imaging.{k}": to_tensor(v) for k, v in values.items() if v is not None}

    @classmethod
    def from_card(
        cls, facts: Mapping[str, Any], tensors: Mapping[str, torch.Tensor], camera: Camera | None
    ) -> Imaging:
        """What :meth:`card` and :meth:`tensors` kept, with another camera where one is given."""
        known = facts["camera"]
        arrays = {k: to_host(tensors[f"imaging.{k}"]) for k in _KEYS if f"imaging.{k}" in tensors}
        if camera is not None and camera.map_shape is not None and "columns" in arrays:
            raise InputError(
                "The model takes off the fixed pattern that it found; maps would do it twice.",
                expected="no maps here, or a model trained with them",
            )
        if camera is None:
            if known["maps"]:
                raise InputError(
                    "The model was trained with maps of a camera; they are not in it.",
                    expected="--camera with the same record",
                )
            camera = Camera(
                known["gain"], known["offset"], known["read_noise_e"], source=known["source"]
            )
        return cls(
            pixel_um=float(facts["raw_pixel_um"]),
            cutoff_per_um=float(facts["cutoff_per_um"]),
            camera=camera,
            shot_noise=bool(facts["shot_noise"]),
            doubts=tuple(facts["doubts"]),
            psf=arrays["psf"],
            noise_kernel=arrays.get("noise_kernel"),
            columns=arrays.get("columns"),
            rows=arrays.get("rows"),
            zoom=int(facts.get("upsampling", 1)),
        )

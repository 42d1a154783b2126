"""What a training belongs to: every input that its steps depend on, in a few numbers.

The frames are compared exactly. Everything else is compared through random projections of its
values: they tell by how much two inputs differ, and a PSF or a picture that was computed again, on
another device or with other threads, still counts as the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
import torch

from simrecon.provenance import sha256_array
from zsdeconv.bridge import to_host
from zsdeconv.measurement import Measurement

PROJECTIONS = 32
TOLERANCE = 1e-4
"""Relative difference that is another input: float32 transforms repeat to about 1e-6, and a
training does not notice a PSF that is off by so little. Chosen, not measured."""

Numbers = Sequence[float]


@dataclass(frozen=True)
class Fingerprint:
    """Identity of a training's inputs.

    Attributes
    ----------
    frames : str
        SHA-256 of the raw frames; of a set, of its pictures' hashes.
    traits : list of mapping of str to sequence of float
        Name of an input → its projections, one mapping per picture.
    start : str
        SHA-256 of the weights of the model that the training started from; empty: none.
    """

    frames: str
    traits: Sequence[Mapping[str, Numbers]]
    start: str = ""

    @classmethod
    def of(
        cls, measurements: Sequence[Measurement], weights: Mapping[str, torch.Tensor] | None = None
    ) -> Self:
        """The fingerprint of a picture or a set, and of the weights to start from."""
        hashes = [sha256_array(m.frames_e) for m in measurements]
        frames = hashes[0]
        if len(hashes) > 1:
            frames = hashlib.sha256("".join(hashes).encode()).hexdigest()
        start = hashlib.sha256()
        for name in sorted(weights or {}):
            start.update(sha256_array(to_host((weights or {})[name])).encode())
        return cls(frames, [_traits(m) for m in measurements], start.hexdigest() if weights else "")

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)

    def differences(self, saved: Mapping[str, Any]) -> list[str]:
        """What is other than in a saved one (:meth:`to_dict`), in words; empty: nothing."""
        others = saved["traits"]
        if len(others) != len(self.traits):
            return [f"{len(self.traits)} pictures instead of {len(others)}"]
        found = ["the raw frames"] if saved["frames"] != self.frames else []
        for name in self.traits[0]:
            pairs = zip(self.traits, others, strict=True)
            off = max(_distance(own[name], other.get(name, ())) for own, other in pairs)
            if off > TOLERANCE:
                found.append(name + (f" (by {off:.2g} of it)" if np.isfinite(off) else ""))
        return [*found, *(["the model to start from"] if saved["start"] != self.start else [])]


def _traits(m: Measurement) -> dict[str, list[float]]:
    """Projections of everything that a training step sees of one picture, but the frames."""
    probe = np.random.default_rng(0).random(m.image_shape, dtype=np.float32)
    pitch = [m.pixel_um, 0.0 if m.dz_um is None else m.dz_um, float(m.zoom)]
    kernel = np.ones((1, 1)) if m.noise_kernel is None else m.noise_kernel
    return {
        "the forward model (pattern, PSF or OTF)": _projected(m.predict(probe)),
        "the linear picture": _projected(m.image),
        "its PSF": _projected(m.effective_psf),
        "the camera's noise": _projected(m.variance_e2),
        "the noise's correlation": _projected(kernel),
        "the pixel size": pitch,
    }


def _projected(values: np.ndarray) -> list[float]:
    """Inner products with fixed random fields, each over a part of the values."""
    rng = np.random.default_rng(1)
    parts = np.array_split(np.asarray(values, np.float32).ravel(), PROJECTIONS)
    return [float(rng.standard_normal(p.size, dtype=np.float32) @ p) for p in parts]


def _distance(first: Numbers, second: Numbers) -> float:
    """Norm of the difference relative to that of the second; infinite for other lengths."""
    if len(first) != len(second):
        return float("inf")
    off = np.linalg.norm(np.subtract(first, second))
    return float(off / max(float(np.linalg.norm(second)), 1e-30))

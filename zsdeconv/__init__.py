"""zsdeconv: zero-shot denoising and deconvolution, trained on the noisy data themselves.

The public names are loaded on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_LAZY = {
    "Enhanced": "zsdeconv.enhancement",
    "Measurement": "zsdeconv.measurement",
    "Recording": "zsdeconv.time_points",
    "Series": "zsdeconv.series",
    "SimModel": "zsdeconv.sim_model",
    "ZsSettings": "zsdeconv.config",
    "camera_volume": "zsdeconv.pairs_volume",
    "enhance": "zsdeconv.enhancement",
    "image_measurement": "zsdeconv.pairs_image",
    "isotropic": "zsdeconv.axial",
    "sim_measurement": "zsdeconv.pairs_sim",
    "sim_volume_measurement": "zsdeconv.pairs_sim_volume",
    "train_series": "zsdeconv.series",
    "volume_measurement": "zsdeconv.pairs_volume",
}
__all__ = [*_LAZY]

if TYPE_CHECKING:
    from zsdeconv.axial import isotropic as isotropic
    from zsdeconv.config import ZsSettings as ZsSettings
    from zsdeconv.enhancement import Enhanced as Enhanced
    from zsdeconv.enhancement import enhance as enhance
    from zsdeconv.measurement import Measurement as Measurement
    from zsdeconv.pairs_image import image_measurement as image_measurement
    from zsdeconv.pairs_sim import sim_measurement as sim_measurement
    from zsdeconv.pairs_sim_volume import sim_volume_measurement as sim_volume_measurement
    from zsdeconv.pairs_volume import camera_volume as camera_volume
    from zsdeconv.pairs_volume import volume_measurement as volume_measurement
    from zsdeconv.series import Series as Series
    from zsdeconv.series import train_series as train_series
    from zsdeconv.sim_model import SimModel as SimModel
    from zsdeconv.time_points import Recording as Recording


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'zsdeconv' has no attribute '{name}'")
    return getattr(import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)

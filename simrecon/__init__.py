"""simrecon: from raw structured-illumination frames to a trusted picture.

The public names are loaded on first use, so that ``import simrecon`` stays light.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_LAZY = {
    "read": "simrecon.io",
    "write_image": "simrecon.io",
    "inspect": "simrecon.inspection",
    "estimate_pattern": "simrecon.pipeline",
    "Reconstructor": "simrecon.recon.operator",
    "reconstruct": "simrecon.pipeline",
    "simulate": "simrecon.physics.simulate",
    "simulate_volume": "simrecon.physics.simulate_volume",
    "Settings": "simrecon.config",
}
__all__ = ["__version__", *_LAZY]

if TYPE_CHECKING:
    from simrecon.config import Settings as Settings
    from simrecon.inspection import inspect as inspect
    from simrecon.io import read as read
    from simrecon.io import write_image as write_image
    from simrecon.physics.simulate import simulate as simulate
    from simrecon.physics.simulate_volume import simulate_volume as simulate_volume
    from simrecon.pipeline import estimate_pattern as estimate_pattern
    from simrecon.pipeline import reconstruct as reconstruct
    from simrecon.recon.operator import Reconstructor as Reconstructor


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'simrecon' has no attribute '{name}'")
    return getattr(import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)

"""Patterns of volumes: all orders of 3-D and lattice light-sheet SIM in one fit per direction."""

from simrecon.estimate.volume.estimator import estimate_volume_pattern

__all__ = ["estimate_volume_pattern"]

"""Pattern parameters of raw SIM frames, their errors and their verdicts."""

from simrecon.estimate.estimator import estimate_pattern

__all__ = ["estimate_pattern"]

"""Pattern fit of frames that hold several carriers: harmonics, or simultaneous directions."""

from simrecon.estimate.carriers.estimator import CarrierMode, estimate_carriers

__all__ = ["CarrierMode", "estimate_carriers"]

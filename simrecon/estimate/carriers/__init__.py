"""Pattern fit of frames that hold several carriers: harmonics, or simultaneous directions."""

from simrecon.estimate.carriers.estimator import CarrierMode, estimate_carriers
from simrecon.estimate.carriers.other_mode import other_mode, three_carriers

__all__ = ["CarrierMode", "estimate_carriers", "other_mode", "three_carriers"]

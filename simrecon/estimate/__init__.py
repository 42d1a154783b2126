"""Pattern parameters of raw SIM frames, their errors, their verdicts, and the frame order."""

from simrecon.estimate.direction_peaks import DirectionPeak, direction_peaks
from simrecon.estimate.estimator import estimate_pattern
from simrecon.estimate.order import OrderRow, compare_orders, explain

__all__ = [
    "DirectionPeak",
    "OrderRow",
    "compare_orders",
    "direction_peaks",
    "estimate_pattern",
    "explain",
]

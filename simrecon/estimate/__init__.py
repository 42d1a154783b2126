"""Pattern parameters of raw SIM frames, their errors, their verdicts, and the frame order."""

from simrecon.estimate.estimator import estimate_pattern
from simrecon.estimate.order import FrameOrder, detect_frame_order, search_carriers

__all__ = ["FrameOrder", "detect_frame_order", "estimate_pattern", "search_carriers"]

"""simrecon: from raw structured-illumination frames to a trusted picture."""

__version__ = "0.1.0"

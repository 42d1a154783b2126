"""The forward direction: pupil, OTF, illumination, simulated data."""

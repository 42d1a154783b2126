"""calibration: what the instrument is, as records that the engine consumes."""

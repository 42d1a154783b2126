"""The illumination pattern, from beads, fluorescent slides or many cells."""

"""Maps between channels and cameras, from beads that all of them see."""

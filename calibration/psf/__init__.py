"""Point-spread functions measured from beads: ``simcal psf``."""

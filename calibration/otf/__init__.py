"""OTFs of all orders from SIM recordings of beads."""

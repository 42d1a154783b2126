"""Classical methods to compare with, as good as they get."""

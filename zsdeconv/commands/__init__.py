"""The commands of ``zsdeconv``, one per file."""

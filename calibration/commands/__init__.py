"""The commands of ``simcal``, one file each."""

"""Values: frozen data classes without algorithms and without I/O."""

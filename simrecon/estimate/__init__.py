"""Pattern parameters, their errors and their verdicts."""

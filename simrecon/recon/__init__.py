"""The inverse in closed form: one frozen linear operator per pattern."""

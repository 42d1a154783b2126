"""The simrecon program."""

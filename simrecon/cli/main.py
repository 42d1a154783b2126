"""The program ``simrecon``: one sub-command per file of this folder."""

from __future__ import annotations

import sys

from simrecon.cli import config, doctor, estimate, inspect, otf, reconstruct, register, simulate
from simrecon.shell import execute, make_app

app = make_app("simrecon", "From raw structured-illumination frames to a trusted picture.")
app.command(inspect.inspect)
app.command(otf.otf)
app.command(estimate.estimate)
app.command(reconstruct.reconstruct)
app.command(register.register_pictures, name="register")
app.command(simulate.simulate)
app.command(doctor.doctor)
app.command(config.app)


def run() -> None:
    """Entry point of the console script."""
    sys.exit(execute(app))


if __name__ == "__main__":
    run()

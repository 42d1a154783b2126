"""The program ``simcal``: one line per command."""

from __future__ import annotations

import sys

from calibration.commands.camera import camera
from calibration.commands.check import check
from calibration.commands.otf import otf
from calibration.commands.pattern import pattern
from calibration.commands.psf import psf
from calibration.commands.registration import registration
from simrecon.shell import execute, make_app

app = make_app("simcal", "Measure the instrument; the results are records that simrecon uses.")
app.command(camera)
app.command(psf)
app.command(otf)
app.command(pattern)
app.command(registration)
app.command(check)


def run() -> None:
    """Entry point of the console script."""
    sys.exit(execute(app))


if __name__ == "__main__":
    run()

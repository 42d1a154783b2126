"""The program ``zsdeconv``: one line per command."""

from __future__ import annotations

import io
import os
import sys
from contextlib import redirect_stderr, redirect_stdout

from simrecon.shell import execute, make_app
from zsdeconv.commands.adapt import adapt
from zsdeconv.commands.config import config
from zsdeconv.commands.deconvolve import deconvolve
from zsdeconv.commands.demo import demo
from zsdeconv.commands.image import image
from zsdeconv.commands.info import info
from zsdeconv.commands.predict import predict
from zsdeconv.commands.sim import sim
from zsdeconv.commands.train import train
from zsdeconv.commands.volume import volume

TRAINING = ("sim", "image", "train", "volume")
"""Commands that several processes can run together."""

app = make_app("zsdeconv", "Zero-shot denoising and deconvolution, trained on the data themselves.")
app.command(sim)
app.command(image)
app.command(volume)
app.command(train)
app.command(predict)
app.command(adapt)
app.command(deconvolve)
app.command(demo)
app.command(info)
app.command(config)


def run() -> None:
    """Entry point of the console script; of torchrun's processes the first one speaks for all."""
    together = "TORCHELASTIC_RUN_ID" in os.environ and os.environ.get("WORLD_SIZE", "1") != "1"
    if together and sys.argv[1:2] not in [[name] for name in TRAINING]:
        sys.exit(f"error: torchrun is for the commands that train: {', '.join(TRAINING)}")
    rank = os.environ.get("RANK", "0") if "TORCHELASTIC_RUN_ID" in os.environ else "0"
    if rank == "0":
        sys.exit(execute(app))
    said = io.StringIO()
    with redirect_stdout(said), redirect_stderr(said):
        code = execute(app)
    if code != 0:
        sys.stderr.write(f"process {rank}, exit code {code}:\n{said.getvalue()}")
    sys.exit(code)


if __name__ == "__main__":
    run()

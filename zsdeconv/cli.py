"""The program ``zsdeconv``: one line per command."""

from __future__ import annotations

import io
import sys
from contextlib import redirect_stderr, redirect_stdout

from simrecon.errors import UsageError
from simrecon.shell import EXIT_INTERRUPTED, EXIT_OK, EXIT_TERMINATED, execute, fail, make_app
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
from zsdeconv.launch import Launch, launch, require_training

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
    tokens = sys.argv[1:]
    here = Launch()
    try:
        here = launch()
        require_training(here, tokens[0] if tokens else "", TRAINING)
    except UsageError as error:
        sys.exit(fail(error, error.exit_code, tokens) if here.first else error.exit_code)
    if here.first:
        sys.exit(execute(app))
    said = io.StringIO()
    with redirect_stdout(said), redirect_stderr(said):
        code = execute(app)
    if code not in (EXIT_OK, EXIT_INTERRUPTED, EXIT_TERMINATED):
        sys.stderr.write(f"process {here.rank}, exit code {code}:\n{said.getvalue()}")
    sys.exit(code)


if __name__ == "__main__":
    run()

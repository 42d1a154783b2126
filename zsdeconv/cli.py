"""The program ``zsdeconv``: one line per command."""

from __future__ import annotations

import io
import os
import sys
from contextlib import redirect_stderr, redirect_stdout, suppress
from typing import NoReturn

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


def run() -> NoReturn:
    """Entry point of the console script; of torchrun's processes the first one speaks for all."""
    tokens = sys.argv[1:]
    here = Launch()
    try:
        here = launch()
        require_training(here, tokens[0] if tokens else "")
    except UsageError as error:
        sys.exit(fail(error, error.exit_code, tokens) if here.first else error.exit_code)
    if not here.together:
        sys.exit(execute(app))
    if here.first:
        _end(execute(app))
    said = io.StringIO()
    with redirect_stdout(said), redirect_stderr(said):
        try:
            code = execute(app)
        except SystemExit as done:  # after the training the first one goes on alone
            code = done.code if isinstance(done.code, int) else EXIT_OK
    if code not in (EXIT_OK, EXIT_INTERRUPTED, EXIT_TERMINATED):
        sys.stderr.write(f"process {here.rank}, exit code {code}:\n{said.getvalue()}")
    _end(code)


def _end(code: int) -> NoReturn:
    """End one of several processes with its own exit code.

    Not through the end of the interpreter, where threads of the connections to the others may
    still want it and abort the process (signal 6, "terminate called").
    """
    with suppress(BrokenPipeError):  # the reader of our output has gone
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    run()

"""``zsdeconv`` as torchrun starts it, with a fault in process 1: FAULT, NOTE, then its arguments.

The time of the fault is written to the file NOTE.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import zsdeconv.enhancement
import zsdeconv.train
from zsdeconv import cli
from zsdeconv.training import Training

FAULT, NOTE = sys.argv[1], Path(sys.argv[2])
_STEP = 3
_loss, _prepare = zsdeconv.train.batch_loss, zsdeconv.enhancement.prepare


def loss(run: Training) -> tuple:
    found = _loss(run)
    if run.iteration != _STEP:
        return found
    NOTE.write_text(str(time.time()))
    if FAULT == "diverges":
        return found[0] * float("nan"), *found[1:]
    if FAULT == "dies":
        os._exit(9)  # no farewell, as when memory runs out
    raise ValueError("process 1 is broken")


def prepare(*given: object, **more: object) -> Training:
    if FAULT == "late":  # before it has met the others
        NOTE.write_text(str(time.time()))
        raise ValueError("process 1 is broken")
    run = _prepare(*given, **more)
    NOTE.write_text(str(time.time()))
    run.iteration += FAULT == "other"
    return run


if __name__ == "__main__":
    if os.environ["RANK"] == "1":
        if FAULT in ("late", "other"):
            zsdeconv.enhancement.prepare = prepare
        else:
            zsdeconv.train.batch_loss = loss
    sys.argv[1:] = sys.argv[3:]
    cli.run()

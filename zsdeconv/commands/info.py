"""``zsdeconv info``: what a model is."""

from __future__ import annotations

from pathlib import Path

from simrecon.shell import EXIT_OK, Reporter


def info(model: Path, /, *, json: bool = False) -> int:
    """Say what a model is and what it was trained on.

    Parameters
    ----------
    model
        The model/ folder of an enhancement (or the folder that holds it).
    json
        Write one JSON document to standard output.
    """
    from zsdeconv.checkpoint import MODEL_FILE, read_model

    folder = model if (model / MODEL_FILE).exists() else model / "model"
    tensors, facts = read_model(folder)
    settings = facts["settings"]
    lines = [
        f"network: {settings['network']}, {facts['parameters']:,} parameters "
        f"in {len(tensors)} tensors",
        f"trained: {facts['iterations']} steps in {facts['training_s']:.0f} s, "
        f"loss {settings['loss']}, seed {settings['seed']}",
        f"output pixel: {facts['pixel_um'] * 1000:.2f} nm, scale {facts['scale']:.4g} e",
        f"data: sha256 {facts['data'][:16]}…",
    ]
    Reporter(json).finish(facts, "\n".join(lines))
    return EXIT_OK

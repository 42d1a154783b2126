"""Models and training states on disk: safetensors with JSON inside, never a pickle.

A file is written beside its place and then moved there, so a killed run leaves the last
complete one.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from simrecon.errors import InputError
from simrecon.io import atomic_path, read_json, write_json
from zsdeconv.bridge import to_host

MODEL_FILE, STATE_FILE, FACTS_FILE = "model.safetensors", "training.safetensors", "model.json"
SCHEMA = "zsdeconv/model/1"
_KEY = "zsdeconv"


def write_tensors(
    path: Path, tensors: Mapping[str, torch.Tensor], facts: Mapping[str, Any]
) -> None:
    """Write tensors with a JSON record in the file's header, atomically."""
    host = {name: t.detach().cpu().contiguous() for name, t in tensors.items()}
    data = save(host, metadata={_KEY: json.dumps({"schema": SCHEMA, **facts})})
    with atomic_path(path) as temporary:
        Path(temporary).write_bytes(data)


def read_tensors(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Read what :func:`write_tensors` wrote.

    Raises
    ------
    InputError
        When the file is missing, damaged or of another schema.
    """
    try:
        with safe_open(os.fspath(path), framework="pt") as file:
            facts = json.loads((file.metadata() or {}).get(_KEY, "{}"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, json.JSONDecodeError) as error:
        raise InputError(
            "The model file cannot be read.",
            expected="a .safetensors file of zsdeconv",
            got=str(error),
            where=str(path),
        ) from error
    if facts.get("schema") != SCHEMA:
        raise InputError(
            "This is not a model of zsdeconv.",
            expected=SCHEMA,
            got=repr(facts.get("schema")),
            where=str(path),
        )
    return tensors, facts


def require_state(folder: Path) -> Path:
    """The training state in a model folder.

    Raises
    ------
    InputError
        When there is none.
    """
    path = folder / STATE_FILE
    if not path.is_file():
        raise InputError(
            "There is nothing to resume.",
            expected="the state of an interrupted training",
            where=str(path),
            hint="nothing to resume: run without --resume",
        )
    return path


def write_model(
    folder: Path, weights: Mapping[str, torch.Tensor], facts: Mapping[str, Any]
) -> None:
    """Write the weights for inference and, beside them, the same facts for people."""
    folder.mkdir(parents=True, exist_ok=True)
    sealed = {**facts, "content_sha256": content_hash(weights, facts)}
    write_tensors(folder / MODEL_FILE, weights, sealed)
    write_json(folder / FACTS_FILE, {"schema": SCHEMA, **sealed})


def model_folder(folder: Path) -> Path:
    """The folder with the model itself, for the folder of an enhancement too."""
    return folder if (folder / MODEL_FILE).exists() else folder / "model"


def read_model(folder: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Weights and facts of a model folder.

    Raises
    ------
    InputError
        Missing or damaged; or weights and facts are not those that were written.
    """
    tensors, facts = read_tensors(folder / MODEL_FILE)
    own = {k: v for k, v in facts.items() if k not in ("schema", "content_sha256")}
    if content_hash(tensors, own) != facts.get("content_sha256"):
        raise InputError(
            "The model was changed after it was written.",
            expected=f"content with SHA-256 {str(facts.get('content_sha256'))[:16]}…",
            got=f"{content_hash(tensors, own)[:16]}…",
            where=str(folder / MODEL_FILE),
            hint="take the original model, or train again",
        )
    card = folder / FACTS_FILE
    if card.is_file() and read_json(card).get("content_sha256") != facts["content_sha256"]:
        raise InputError(
            "The card does not belong to the model.",
            expected=f"the {FACTS_FILE} that was written with it",
            where=str(card),
        )
    return tensors, facts


def content_hash(tensors: Mapping[str, torch.Tensor], facts: Mapping[str, Any]) -> str:
    """SHA-256 of tensors (names, types, shapes, bytes) and facts."""
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for name in sorted(tensors):
        array = to_host(tensors[name].contiguous())
        digest.update(f"{name}{array.dtype.str}{array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()

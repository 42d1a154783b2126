"""What made a result: versions, device, settings, inputs, and the command that replays it."""

from __future__ import annotations

import hashlib
import platform
import resource
import shlex
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from simrecon import __version__
from simrecon.errors import InputError
from simrecon.model.psf import AnyOTF, DirectionalVolumeOTF, RadialOTF, RadialVolumeOTF

SCHEMA = "simrecon/provenance/1"
_PACKAGES = ("numpy", "scipy", "tifffile", "h5py", "pydantic")


def versions(extra: Sequence[str] = ()) -> dict[str, str]:
    """Versions of Python, the platform and the packages that computed."""
    found = {
        "simrecon": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(terse=True),
    }
    for name in (*_PACKAGES, *extra):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def sha256_file(path: Path) -> str:
    """SHA-256 of a file, read in blocks of 1 MiB."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise InputError("The file cannot be read.", got=str(error), where=str(path)) from error
    return digest.hexdigest()


def sha256_array(array: np.ndarray) -> str:
    """SHA-256 of an array's dtype, shape and values (C order)."""
    host = np.ascontiguousarray(array)
    digest = hashlib.sha256(f"{host.dtype.str}{host.shape}".encode())
    digest.update(host.tobytes())
    return digest.hexdigest()


def describe_otf(otf: AnyOTF) -> dict[str, Any]:
    """Source, kind, cut-off and content hash of an OTF."""
    if isinstance(otf, DirectionalVolumeOTF):
        return {"kind": type(otf).__name__, "directions": [describe_otf(o) for o in otf.directions]}
    values = otf.values if isinstance(otf, RadialOTF | RadialVolumeOTF) else otf.psf
    return {
        "kind": type(otf).__name__,
        "source": otf.source,
        "cutoff_per_um": float(otf.cutoff_per_um),
        "sha256": sha256_array(np.asarray(values)),
    }


def describe_files(paths: Sequence[Path]) -> list[dict[str, Any]]:
    """Name, size and SHA-256 of each input file."""
    return [{"path": str(p), "bytes": p.stat().st_size, "sha256": sha256_file(p)} for p in paths]


def peak_memory_gb() -> float:
    """Peak resident memory of this process so far, GB.

    Linux tells it per program (``VmHWM``); the resource counter used elsewhere may include what the
    parent process had in memory when it started this one.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return float(line.split()[1]) * 1024 / 1e9
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(peak) / (1e9 if sys.platform == "darwin" else 1e6)


def replay_command(program: str, arguments: Sequence[str]) -> str:
    """The command line as one would type it again."""
    return shlex.join([program, *arguments])


def record(
    *,
    settings: Mapping[str, Any],
    device: str,
    seed: int | None,
    extra_packages: Sequence[str] = (),
    **facts: Any,
) -> dict[str, Any]:
    """Assemble a JSON-ready provenance record.

    Parameters
    ----------
    settings
        Full settings, defaults included.
    device
        Device label and the reason for its choice.
    seed
        Seed of every random draw, or None when nothing random was done.
    extra_packages
        Further distributions whose versions matter (``"torch"`` for training).
    **facts
        More entries, for example ``pattern``, ``otf``, ``inputs``, ``command``.
    """
    return {
        "schema": SCHEMA,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "program": Path(sys.argv[0]).name if sys.argv else "python",
        "versions": versions(extra_packages),
        "device": device,
        "seed": seed,
        "settings": dict(settings),
        **facts,
    }

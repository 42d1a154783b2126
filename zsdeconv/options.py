"""Command-line options of an enhancement, and how they become the two kinds of settings.

Keys of zsdeconv carry the prefix ``zsdeconv.`` in ``--set`` and lie in the table ``[zsdeconv]``
of a ``--config`` file; all other keys are the engine's.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from cyclopts import Parameter

from simrecon.config import (
    Settings,
    key_paths,
    load_settings_file,
    parse_assignments,
)
from simrecon.config import build_settings as build_engine_settings
from simrecon.errors import UsageError
from simrecon.model.mode import VOLUME_MODES
from simrecon.shell_options import FileOptions
from zsdeconv.config import (
    VOLUME_DEFAULTS,
    PlaneNetwork,
    VolumeNetwork,
    ZsSettings,
    build_settings,
    parse_duration_s,
)

SECTION = "zsdeconv"


@Parameter(name="*")
@dataclass(frozen=True)
class TrainOptions:
    """How long and on what to train.

    Parameters
    ----------
    budget
        Training time: 90s, 5min, 1h [default: 5min].
    iterations
        Exact number of training steps instead.
    seed
        Seed of every random draw [default: 0].
    deterministic
        The same bits again on the same machine, versions and number of threads and processes, also
        on a GPU; needs --iterations [default: off].
    network
        compact (0.5 M parameters), unet_paper (13.1 M), dfcan (3.7 M) or rln (0.06 M); of
        volumes compact3d (0.2 M), rcan3d (2.0 M), unet3d (39 M) or rln3d (0.2 M) [default: compact,
        compact3d].
    loss
        raw, whitened, variance or l2 [default: raw].
    device
        auto, cpu or cuda:N, for reconstruction and training [default: auto].
    """

    budget: str | None = None
    iterations: int | None = None
    seed: int | None = None
    deterministic: bool | None = None
    network: PlaneNetwork | VolumeNetwork | None = None
    loss: Literal["raw", "whitened", "variance", "l2"] | None = None
    device: str | None = None

    def given(self) -> dict[str, Any]:
        """Options on the command line as keys of :class:`ZsSettings`."""
        found = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "budget"}
        found["budget_s"] = None if self.budget is None else parse_duration_s(self.budget)
        return {k: v for k, v in found.items() if v is not None}


def file_options(options: Any) -> FileOptions:
    """Those options of a command that describe its file; one wavelength becomes a list."""
    names = {f.name for f in fields(FileOptions)}
    given = {k: v for k, v in vars(options).items() if k in names}
    for name in ("emission_nm", "excitation_nm"):
        given[name] = None if given[name] is None else [given[name]]
    return FileOptions(**given)


def both_settings(
    file: FileOptions | None,
    train: TrainOptions | None,
    defaults: Mapping[str, Any] | None = None,
) -> tuple[ZsSettings, Settings]:
    """Settings of the training and of the engine; defaults < file < options < ``--set``.

    The engine computes where the training does, unless its own ``reconstruction.device`` is set.

    Raises
    ------
    UsageError
        For an unknown key or an impossible value.
    """
    file, given = file or FileOptions(), (train or TrainOptions()).given()
    stored: dict[str, Any] = {} if file.config is None else load_settings_file(file.config)
    table = stored.pop(SECTION, {})
    if not isinstance(table, Mapping):
        raise UsageError(f"[{SECTION}] must be a table.", got=repr(table), where=str(file.config))
    ours, theirs = _split(parse_assignments(file.set or ()))
    settings = build_settings(**{**(defaults or {}), **table, **given, **ours})
    engine = build_engine_settings(
        ("zsdeconv", {"device": settings.device}),
        (str(file.config), stored),
        ("command line", file.given()),
        ("command line", {"device": given["device"]} if "device" in given else {}),
        ("--set", theirs),
    )
    return settings, engine


def sim_settings(
    file: FileOptions | None, train: TrainOptions | None
) -> tuple[ZsSettings, Settings]:
    """:func:`both_settings` for raw SIM frames: a mode of volumes has the defaults of volumes."""
    settings, engine = both_settings(file, train)
    if engine.reconstruction.mode in VOLUME_MODES:
        return both_settings(file, train, VOLUME_DEFAULTS)
    return settings, engine


def _split(assignments: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Keys of zsdeconv without their prefix, and the engine's."""
    ours: dict[str, Any] = {}
    theirs: dict[str, Any] = {}
    for key, value in assignments.items():
        section, dot, name = key.partition(".")
        if dot and section == SECTION:
            ours[name] = value
        else:
            theirs[key] = value
    known = [*key_paths(), *(f"{SECTION}.{name}" for name in ZsSettings.model_fields)]
    for key in theirs:
        if key in known:
            continue
        same = [k for k in known if k == f"{SECTION}.{key}"]
        near = same or difflib.get_close_matches(key, known, n=1)
        raise UsageError(
            f"Unknown setting '{key}'.",
            expected="one of the keys of 'simrecon config show' or 'zsdeconv config'",
            where="--set",
            hint=f"did you mean '{near[0]}'?" if near else "see 'zsdeconv config'",
        )
    return ours, theirs


def to_toml(settings: ZsSettings) -> str:
    """The settings as the table of a TOML file, each with what it means."""
    lines = [f"[{SECTION}]"]
    for name, field in ZsSettings.model_fields.items():
        value = getattr(settings, name)
        entry = f"# {name} =" if value is None else f"{name} = {json.dumps(value)}"
        lines.append(f"{entry}  # {field.description or 'where to compute'}")
    return "\n".join(lines)

"""``zsdeconv config``: the settings with their defaults."""

from __future__ import annotations

from simrecon.shell import Reporter
from zsdeconv.config import ZsSettings
from zsdeconv.options import to_toml


def config(*, json: bool = False) -> None:
    """Show the settings of zsdeconv with their defaults, as the table of a --config file.

    One of them is set with --set zsdeconv.NAME=VALUE; the engine's are in 'simrecon config show'.

    Parameters
    ----------
    json
        Write JSON instead.
    """
    settings = ZsSettings()
    Reporter(json).finish(settings.model_dump(mode="json"), to_toml(settings))

"""``simrecon config``: what can be set, with units and defaults."""

from __future__ import annotations

from json import dumps

from cyclopts import App

from simrecon.config import settings_schema, to_toml
from simrecon.shell import Reporter
from simrecon.shell_options import FileOptions

app = App(name="config", help="Show the settings, or their JSON schema.")


@app.command
def show(*, file: FileOptions | None = None, json: bool = False) -> None:
    """Show the effective settings as a TOML file that --config reads back.

    Parameters
    ----------
    json
        Write JSON instead.
    """
    settings = (file or FileOptions()).settings()
    Reporter(json).finish(settings.model_dump(), to_toml(settings))


@app.command
def schema() -> None:
    """Print the JSON schema of the settings."""
    Reporter().say(dumps(settings_schema(), indent=2, ensure_ascii=False))

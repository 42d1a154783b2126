"""An empty matplotlib figure, or a clear word that matplotlib is not there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simrecon.errors import UsageError

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def new_figure(width: float, height: float, **style: Any) -> Figure:
    """A figure of this size in inches that belongs to no window; `style` goes to matplotlib.

    Raises
    ------
    UsageError
        When matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UsageError(
            "Figures need matplotlib.", got=str(error), hint="pip install 'simrecon[report]'"
        ) from error
    return Figure(figsize=(width, height), layout="constrained", **style)

"""Options that every measurement has."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

ValidDays = Annotated[float, Parameter(validator=Number(gt=0))]
"""How long a record holds, days."""

from __future__ import annotations

import array_api_strict
import numpy as np
import pytest


@pytest.fixture(params=["numpy", "strict"])
def to_library(request):
    """Move a NumPy array to the library under test; strict uses a device other than the CPU."""
    if request.param == "numpy":
        return np.asarray
    device = array_api_strict.Device("device1")
    return lambda array: array_api_strict.asarray(np.asarray(array), device=device)

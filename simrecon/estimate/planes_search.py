"""Search of a carrier in several planes of a stack at once."""

from __future__ import annotations

import numpy as np

from simrecon.estimate.frequency import CarrierSearch
from simrecon.estimate.window import FieldWindow


class PlanesSearch(CarrierSearch):
    """Search of one carrier in several planes at once: their power is added.

    Out-of-focus light hides the pattern in planes without structure, and what looks like a
    carrier in one plane is elsewhere in the next.

    Parameters
    ----------
    spectra : ndarray (A, P, Z, KY, KX//2 + 1), complex64
    window, cutoff_per_um
        As of :class:`CarrierSearch`.
    """

    def __init__(
        self, spectra: np.ndarray, window: FieldWindow, cutoff_per_um: float | None = None
    ) -> None:
        super().__init__(spectra[:, :, 0], window, cutoff_per_um)
        more = range(1, spectra.shape[2])
        self._others = [CarrierSearch(spectra[:, :, z], window, cutoff_per_um) for z in more]

    def correlation_images(self, direction: int) -> np.ndarray:
        """Widefield times contrasts of every plane, (Z · (P−1), NY, NX) float32."""
        first = super().correlation_images(direction)
        others = [search.correlation_images(direction) for search in self._others]
        return np.concatenate([first, *others])

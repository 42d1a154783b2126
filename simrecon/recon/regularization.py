"""The regulariser Γ of the reconstruction: automatic (noise over signal) or constant."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simrecon.errors import UsageError
from simrecon.recon.spectrum import SignalPower


@dataclass(frozen=True)
class Regularization:
    """What Γ was, for provenance.

    Attributes
    ----------
    signal_power : SignalPower or None
        Model of the object's power spectrum; None for a constant Wiener parameter.
    factor : float
        User factor on the automatic Γ ("auto × factor").
    wiener_constant : float or None
        w of ``Γ = w² max_k Σ|aH|²/N`` when the automatic Γ is not used.
    """

    signal_power: SignalPower | None = None
    factor: float = 1.0
    wiener_constant: float | None = None

    def gamma(self, k_per_um: np.ndarray, largest_precision: float) -> np.ndarray:
        """Γ at radial frequencies, 1/e²; same shape.

        Parameters
        ----------
        largest_precision : float
            ``max_k Σ|aH|²/N``.
        """
        if self.wiener_constant is not None:
            return np.full(k_per_um.shape, self.wiener_constant**2 * largest_precision)
        if self.signal_power is None:
            raise UsageError(
                "The reconstruction needs a regularisation.",
                expected="signal_power (Reconstructor.from_frames) or wiener_constant",
                got="neither",
            )
        return np.asarray(self.factor / np.maximum(self.signal_power(k_per_um), 1e-30))

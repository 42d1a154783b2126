"""One pattern geometry for several channels: the same directions, periods as the wavelengths.

The beams of all colours leave the same places of the pupil, so ``p · λ_ex`` is common to the
channels. Each channel's fit measures it with its own errors; their weighted mean serves all.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from simrecon.errors import QualityError
from simrecon.model.pattern import DirectionPattern, PatternFit

MOST_SIGMA, MOST_PX = 5.0, 0.2
"""Channels that differ by more than both, standard deviations and DFT samples, do not share.
Chosen, not measured: room for standard deviations that are too small, and for a laser that is 1 nm
off its nominal 500 nm at 100 periods in the field."""


def share_geometry(
    fits: Sequence[PatternFit], excitation_nm: Sequence[float]
) -> list[PatternFit | None]:
    """Frequencies of every channel from those of all channels.

    Parameters
    ----------
    fits : sequence of PatternFit
        One per channel, each fitted by itself; failed directions do not count.
    excitation_nm : sequence of float
        Excitation wavelength of every channel.

    Returns
    -------
    list of PatternFit
        One per channel with frequencies only: phases and modulations are to be fitted at them.
        None for all where a direction failed in every channel.

    Raises
    ------
    QualityError
        When the channels' patterns do not scale with the wavelength.
    """
    extent = np.array(fits[0].shape) * fits[0].pixel_um
    common = []
    for d in range(len(fits[0].directions)):
        rows = [
            (np.array(fit.directions[d].frequency_per_um), fit.directions[d], nm)
            for fit, nm in zip(fits, excitation_nm, strict=True)
            if fit.directions[d].verdict != "failed"
        ]
        if not rows:
            return [None] * len(fits)
        vectors = np.array([f * nm * np.sign(f @ rows[0][0]) for f, _, nm in rows])
        sd = np.array([np.array(one.frequency_sd_per_um) * nm for _, one, nm in rows])
        weight = 1.0 / np.maximum(sd, 1e-12) ** 2
        mean = (weight * vectors).sum(axis=0) / weight.sum(axis=0)
        _check(d, vectors - mean, sd, extent, np.array([nm for *_, nm in rows]))
        common.append((mean, 1.0 / np.sqrt(weight.sum(axis=0))))
    note = f"one geometry for {len(fits)} channels, periods as the excitation wavelengths"
    return [
        PatternFit(
            pixel_um=fit.pixel_um,
            shape=fit.shape,
            directions=tuple(
                DirectionPattern(
                    frequency_per_um=(float(mean[0] / nm), float(mean[1] / nm)),
                    frequency_sd_per_um=(float(sd[0] / nm), float(sd[1] / nm)),
                    phase_rad=(),
                    modulation=(),
                    intensity=(),
                )
                for mean, sd in common
            ),
            order=fit.order,
            notes=(note,),
        )
        for fit, nm in zip(fits, excitation_nm, strict=True)
    ]


def _check(
    direction: int, off: np.ndarray, sd: np.ndarray, extent_um: np.ndarray, nm: np.ndarray
) -> None:
    sigma = float(np.abs(off / np.maximum(sd, 1e-12)).max())
    samples = float(np.abs(off * extent_um / nm[:, None]).max())
    if sigma > MOST_SIGMA and samples > MOST_PX:
        raise QualityError(
            "The channels' patterns do not scale with the excitation wavelength.",
            expected=f"agreement within {MOST_PX:g} DFT samples",
            got=f"{samples:.2f} ({sigma:.0f} standard deviations)",
            where=f"direction {direction + 1}",
            hint="check the excitation wavelengths, or leave share_channels off",
        )

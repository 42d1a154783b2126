"""Noise next to the first and last plane of a volume, where it meets its own mirror image.

The variance of a picture takes noise and its mirror images for independent. Laterally that touches
a border of one PSF; in z, where the PSF is long and planes are few, it may touch all of the volume.
Of band n, noise of plane i is seen in plane z through all its images c(i):

    Σ_i σ²_i Σ_{c, c'} Γ_n(z − c(i), z − c'(i)),     Γ_n(a, b) = Σ_lateral g_n(a) g_n*(b),

whereas independent images give the terms c = c' only. The ratio of the two is a factor per plane,
exact where the variance of a plane is the same all over it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import scipy.fft

from simrecon.backend import Array, namespace, to_numpy
from simrecon.recon.bands import Band
from simrecon.recon.padding import MirrorPadding
from simrecon.recon.support import SupportBlock


def axial_gram(block: SupportBlock, values: np.ndarray) -> np.ndarray:
    """Γ(a, b) of a filter, up to a factor that is the same for all; (Z, Z), padded planes.

    Parameters
    ----------
    values : ndarray
        The filter on its block, host.
    """
    planes = np.zeros((block.fine[0], values[0].size), dtype=np.complex64)
    planes[block.indices(0)] = values.reshape(values.shape[0], -1)
    planes = scipy.fft.ifft(planes, axis=0)
    return np.asarray((planes @ planes.conj().T).real, dtype=np.float64)


class AxialBorder:
    """The factor of an operator's planes.

    Parameters
    ----------
    bands, blocks, filters
        All bands n ≥ 0 and their synthesis filters.
    padding : MirrorPadding
        Of the raw field.
    """

    def __init__(
        self,
        bands: Sequence[Band],
        blocks: Sequence[SupportBlock],
        filters: Sequence[Array],
        padding: MirrorPadding,
    ) -> None:
        self._bands, self._padding = bands, padding
        self._parts = list(zip(blocks, filters, strict=True))

    @cached_property
    def _grams(self) -> list[np.ndarray]:
        """Γ of all bands, made once for all tiles and time points."""
        return [axial_gram(block, to_numpy(values)) for block, values in self._parts]

    def factor(self, variance_e2: Array) -> np.ndarray:
        """Variance with mirror images as they are over variance with independent ones, (Z, 1, 1).

        Parameters
        ----------
        variance_e2 : array, shape (A, P, Z, Y, X)
            Of the raw frames.
        """
        variance = to_numpy(namespace(variance_e2).mean(variance_e2, axis=(-2, -1)))
        source, margin = self._padding.source(0), self._padding.margin[0]
        same = (source[:, None] == source[None, :]).astype(np.float64)
        together, apart = np.zeros((2, self._padding.shape[0]))
        for band, gram in zip(self._bands, self._grams, strict=True):
            noise = np.abs(band.weights) ** 2 @ variance[band.frames] / band.multiplicity
            for plane in range(self._padding.shape[0]):
                offset = (margin + plane - np.arange(source.size)) % source.size
                own = gram[np.ix_(offset, offset)] * noise[source][:, None]
                together[plane] += np.sum(own * same)
                apart[plane] += np.trace(own)
        factor = np.divide(together, apart, out=np.ones_like(apart), where=apart > 0)
        return np.asarray(factor[:, None, None])

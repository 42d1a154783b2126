"""How far each frame is displaced from what the other directions predict for it.

The object is reconstructed from the frames of all *other* directions, so that its noise is
independent of the frame in question, lit with the pattern of that direction and imaged:
``T = P + Re(e^{iψ} Q)``. The frame is then regressed on ``−∂T/∂y, −∂T/∂x`` and, because phase,
contrast and brightness must not pass for a displacement, on ``P, Re(e^{iψ}Q), Im(e^{iψ}Q)``, in
Fourier space with the residual power of each ring of frequencies as the noise.

That noise is neither white nor stationary: most of it lies where the object is. The covariance is
therefore taken from the data: the score (residual times derivative) is summed over blocks of the
field, and the spread of these sums is that of the whole (a cluster-robust "sandwich" covariance).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from simrecon.backend import fft2, ifft2
from simrecon.model.grid import Grid
from simrecon.model.pattern import DirectionPattern, PatternFit
from simrecon.model.psf import DetectionOTF
from simrecon.recon.operator import Reconstructor, Regularization

RING_PX = 3
BLOCK_UM = 1.0
"""Side of a block: some widths of the PSF, so that blocks are independent."""
_PASSES = 2


@dataclass(frozen=True)
class Scores:
    """Evidence on the displacement of one frame.

    Attributes
    ----------
    matrix : ndarray, shape (2, 2)
        Normal matrix of (y, x), per µm², nuisance parameters eliminated.
    shift_um : ndarray, shape (2,)
        Displacement relative to the other directions.
    blocks : ndarray, shape (2, BY, BX)
        Score at the solution, block by block; the sum is 0.
    block_matrix : ndarray, shape (2, 2, BY, BX)
        Normal matrix block by block.
    """

    matrix: np.ndarray
    shift_um: np.ndarray
    blocks: np.ndarray
    block_matrix: np.ndarray

    @property
    def covariance_um2(self) -> np.ndarray:
        """Covariance of `shift_um`, (2, 2)."""
        flat = self.blocks.reshape(2, -1)
        inverse = np.linalg.pinv(self.matrix, hermitian=True)
        square = flat**2
        count = float(np.min(square.sum(1) ** 2 / np.maximum((square**2).sum(1), 1e-300)))
        few = count / max(count - 2.0, 0.5)  # blocks that matter; some beads are few
        return np.asarray(few * inverse @ (flat @ flat.T) @ inverse)


@dataclass(frozen=True)
class Templates:
    """What the other directions predict for one direction, on the raw grid.

    Attributes
    ----------
    plain : ndarray, shape (Y, X)
        P: the unmodulated part.
    wave : ndarray, shape (Y, X), complex
        Q: the modulated part at phase 0 is Re Q.
    """

    plain: np.ndarray
    wave: np.ndarray


def predict(
    frames: np.ndarray,
    noise_e2: np.ndarray,
    pattern: PatternFit,
    otf: DetectionOTF,
    grid: Grid,
) -> list[Templates]:
    """Templates of every direction from the frames of all the others.

    Parameters
    ----------
    frames : ndarray, shape (A, P, Y, X)
        Frames at rest as far as their drift is known; at least two directions.
    noise_e2 : ndarray, shape (A, P)
        Mean noise variance of each frame.
    pattern : PatternFit
        Without drift.
    """
    whole = Reconstructor(pattern, otf, grid, frame_variance_e2=noise_e2, regularization=None)
    regularization = Regularization(whole.signal_power(frames))
    templates = []
    for d, direction in enumerate(pattern.directions):
        rest = [n for n in range(len(pattern.directions)) if n != d]
        others = replace(pattern, directions=tuple(pattern.directions[n] for n in rest))
        operator = Reconstructor(
            others,
            otf,
            grid,
            frame_variance_e2=noise_e2[rest],
            regularization=regularization,
            apodization_kind="none",
        )
        templates.append(_templates(operator.reconstruct(frames[rest]), direction, operator))
    return templates


def _templates(image: np.ndarray, direction: DirectionPattern, like: Reconstructor) -> Templates:
    """P and Q of one direction from three frames of equal phase steps."""
    steps = 2 * np.pi * np.arange(3) / 3
    three = replace(
        direction, phase_rad=tuple(steps), intensity=(1.0, 1.0, 1.0), drift_um=(), drift_sd_um=()
    )
    pattern = replace(like.pattern, directions=(three,))
    forward = Reconstructor(
        pattern, like.otf, like.grid, frame_variance_e2=1.0, regularization=None
    )
    frames = forward.forward(image)[0].astype(np.float64)
    wave = np.tensordot(np.exp(-1j * steps), frames, 1) * (2 / 3)
    return Templates(frames.mean(axis=0), wave)


class Regression:
    """Displacement of frames from templates, inside a window.

    Parameters
    ----------
    window : ndarray, shape (Y, X)
        Smooth, zero at its ends.
    pixel_um, cutoff_per_um : float
        Frequencies beyond the cut-off are left out.
    """

    def __init__(self, window: np.ndarray, pixel_um: float, cutoff_per_um: float) -> None:
        self.window = window.astype(np.float32)
        grid = Grid((window.shape[0], window.shape[1]), pixel_um)
        ky, kx = grid.frequencies_per_um()
        k = np.hypot(ky, kx)
        self._inside = np.nonzero(k < 0.95 * cutoff_per_um)
        step = 1.0 / (max(window.shape) * pixel_um)
        self._ring = np.rint(k[self._inside] / (RING_PX * step)).astype(np.intp)
        self._count = np.maximum(np.bincount(self._ring), 1)
        ky, kx = np.broadcast_arrays(ky, kx)
        self._k = 2j * np.pi * np.stack([ky[self._inside], kx[self._inside]])
        self._block_px = max(2, round(BLOCK_UM / pixel_um))
        gy, gx = np.gradient(self.window, pixel_um)
        self._slopes = np.stack([gy, gx]).astype(np.float32)

    def _spectrum(self, images: np.ndarray) -> np.ndarray:
        return self._cut(fft2(images))

    def _cut(self, spectra: np.ndarray) -> np.ndarray:
        result: np.ndarray = spectra[..., self._inside[0], self._inside[1]]
        return result

    def __call__(
        self, frames: np.ndarray, phases_rad: np.ndarray, templates: Templates
    ) -> list[Scores]:
        """Evidence on the displacement of each of the frames (P, Y, X) of one direction."""
        found = []
        plain = templates.plain.astype(np.float32)
        plain_spectra = self._spectrum(np.stack([self.window, *self._slopes]) * plain)
        wave = templates.wave.astype(np.complex64)
        spectra = fft2(np.stack([self.window, *self._slopes]) * wave)
        minus, plus = self._cut(_mirrored(spectra)), self._cut(spectra)
        data = self._spectrum(self.window * frames)
        for frame, phase in zip(data, phases_rad, strict=True):
            turn = np.complex64(np.exp(1j * phase))
            upper, lower = turn * plus, np.conj(turn) * minus
            cosine, sine = 0.5 * (upper + lower), -0.5j * (upper - lower)
            whole = plain_spectra + cosine
            moved = whole[1:] - self._k * whole[0]  # −w ∇T, since ∇(wT) = w ∇T + T ∇w
            basis = np.concatenate([moved, plain_spectra[:1], cosine[:1], sine[:1]])
            found.append(self._solve(basis, frame))
        return found

    def _solve(self, basis: np.ndarray, data: np.ndarray) -> Scores:
        """Weighted regression on (y, x, three nuisance parameters)."""
        residual = data - basis[2] - basis[3]
        normal, values = np.zeros((5, 5)), np.zeros(5)
        inverse = np.ones(1, np.float32)
        for _ in range(_PASSES):
            power = np.bincount(self._ring, np.abs(residual) ** 2) / self._count
            power = np.maximum(power, 1e-6 * power.max() + 1e-30)
            inverse = (1.0 / power[self._ring]).astype(np.float32)
            weighted = np.conj(basis) * inverse
            normal = np.real(weighted @ basis.T).astype(np.float64)
            right = np.real(weighted @ data).astype(np.float64)
            values = np.linalg.lstsq(normal, right, rcond=1e-9)[0]
            residual = data - values.astype(np.float32) @ basis
        other = normal[2:, 2:]
        cross = normal[:2, 2:] @ np.linalg.pinv(other, rcond=1e-9, hermitian=True)
        matrix = normal[:2, :2] - cross @ normal[2:, :2]
        derivative = basis[:2] - cross.astype(np.float32) @ basis[2:]
        root = np.sqrt(inverse)
        whitened = self._blank(np.concatenate([derivative * root, (residual * root)[None]]))
        images = np.real(ifft2(whitened)) * np.float32(np.sqrt(self.window.size))
        blocks = self._block_sums(images[:2] * images[2])
        inner = self._block_sums(images[:2, None] * images[None, :2])
        return Scores(matrix, values[:2], blocks, inner)

    def _blank(self, spectra: np.ndarray) -> np.ndarray:
        full = np.zeros((spectra.shape[0], *self.window.shape), np.complex64)
        full[:, self._inside[0], self._inside[1]] = spectra
        return full

    def _block_sums(self, images: np.ndarray) -> np.ndarray:
        """Sums over blocks, (…, BY, BX)."""
        edges = [np.arange(0, n, self._block_px) for n in images.shape[-2:]]
        rows = np.add.reduceat(images, edges[0], axis=-2)
        return np.asarray(np.add.reduceat(rows, edges[1], axis=-1), dtype=np.float64)


def _mirrored(spectra: np.ndarray) -> np.ndarray:
    """Conjugate values at −k: the spectrum of the complex conjugate image."""
    flipped = np.roll(spectra[..., ::-1, ::-1], (1, 1), axis=(-2, -1))
    return np.asarray(np.conj(flipped))

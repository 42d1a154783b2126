"""Cramér–Rao bound of the pattern when the object is unknown too.

The Fisher matrix of pattern and object together, the object eliminated (Schur complement):

    I = Dᵀ W D − Dᵀ W A (Aᵀ W A + P⁻¹)⁻¹ Aᵀ W D,    W = 1/variance of every pixel,

D the derivatives of the expected frames by the parameters of *all* directions at the true object, A
the forward model of the object (linear), P a Gaussian prior on its spectrum. With P the true
object's own radial spectrum this is the bound for an estimator that knows this spectrum; with P a
hundred times that, the object is practically free. Both are optimistic at low light: the
derivatives are those of the true object, which an estimator has to estimate as well. For every
derivative one linear system is solved by conjugate gradients.
"""

from __future__ import annotations

import numpy as np
import scipy.fft

from simrecon.physics.otf import evaluate_otf
from simrecon.physics.simulate import Truth

MARGIN_PX = 16
ITERATIONS, TOLERANCE = 50, 3e-3
RING_PER_UM = 0.1


class Frames:
    """A: the object on a grid of 2/3 pixel with a margin, to frames (D, P, Y, X), and back.

    Square frames of an even number of pixels.
    """

    def __init__(self, truth: Truth) -> None:
        self.truth = truth
        pattern = truth.pattern
        pixel, size = pattern.pixel_um, pattern.shape[0]
        self.padded = size + 2 * MARGIN_PX
        self.fine = self.padded * 3 // 2
        self.step = pixel * self.padded / self.fine
        ky = np.fft.fftfreq(self.padded, pixel)[:, None]
        kx = np.fft.rfftfreq(self.padded, pixel)[None]
        self.transfer = evaluate_otf(truth.otf, ky, kx).real.astype(np.float32)
        self.transfer[:, -1] = 0.0
        self.inner = (slice(None), *(slice(MARGIN_PX, MARGIN_PX + size),) * 2)
        where = -MARGIN_PX * pixel + self.step * np.arange(self.fine)
        waves = [np.ones((self.fine, self.fine), np.float32)]
        for d in pattern.directions:
            fy, fx = d.frequency_per_um
            wave = np.exp(2j * np.pi * (fy * where[:, None] + fx * where[None]))
            waves += [wave.real.astype(np.float32), wave.imag.astype(np.float32)]
        self.waves = np.array(waves)

    def frequencies(self) -> tuple[np.ndarray, np.ndarray]:
        """(ky, kx) of the half spectrum of the object."""
        ky = np.fft.fftfreq(self.fine, self.step)[:, None]
        return ky, np.fft.rfftfreq(self.fine, self.step)[None]

    def __call__(self, density: np.ndarray) -> np.ndarray:
        """A."""
        spectra = scipy.fft.rfft2(density * self.waves)
        low, half = (self.padded - 1) // 2, self.padded // 2 + 1
        kept = np.zeros((len(spectra), self.padded, half), np.complex64)
        kept[:, : low + 1] = spectra[:, : low + 1, :half]
        kept[:, -low:] = spectra[:, -low:, :half]
        kept *= self.transfer * (self.padded / self.fine) ** 2
        images = scipy.fft.irfft2(kept, s=(self.padded, self.padded))[self.inner]
        return self._mixed(images)

    def transpose(self, frames: np.ndarray) -> np.ndarray:
        """Aᵀ."""
        images = np.zeros((len(self.waves), self.padded, self.padded), np.float32)
        for d, direction in enumerate(self.truth.pattern.directions):
            m = direction.modulation[0]
            for frame, phase, g in zip(
                frames[d], direction.phase_rad, direction.intensity, strict=True
            ):
                factors = (1.0, m * np.cos(phase), -m * np.sin(phase))
                for n, factor in zip((0, 1 + 2 * d, 2 + 2 * d), factors, strict=True):
                    images[n][self.inner[1:]] += np.float32(g * factor) * frame
        spectra = scipy.fft.rfft2(images) * self.transfer
        low, half = (self.padded - 1) // 2, self.padded // 2 + 1
        full = np.zeros((len(images), self.fine, self.fine // 2 + 1), np.complex64)
        full[:, : low + 1, :half] = spectra[:, : low + 1]
        full[:, -low:, :half] = spectra[:, -low:]
        back = scipy.fft.irfft2(full, s=(self.fine, self.fine))
        return np.einsum("nyx,nyx->yx", back, self.waves)

    def _mixed(self, images: np.ndarray) -> np.ndarray:
        frames = []
        for d, direction in enumerate(self.truth.pattern.directions):
            m = direction.modulation[0]
            frames.append(
                [
                    np.float32(g)
                    * (
                        images[0]
                        + np.float32(m * np.cos(phase)) * images[1 + 2 * d]
                        - np.float32(m * np.sin(phase)) * images[2 + 2 * d]
                    )
                    for phase, g in zip(direction.phase_rad, direction.intensity, strict=True)
                ]
            )
        return np.array(frames, np.float32)

    def prior(self) -> np.ndarray:
        """The true object's radial power spectrum, on the half spectrum of A's object."""
        density, step = self.truth.fine_object, self.truth.fine_grid.pixel_um
        power = np.abs(scipy.fft.rfft2(density)) ** 2 / density.size
        ky = np.fft.fftfreq(density.shape[0], step)[:, None]
        kx = np.fft.rfftfreq(density.shape[1], step)[None]
        ring = (np.hypot(ky, kx) / RING_PER_UM).astype(int).ravel()
        mean = np.bincount(ring, power.ravel()) / np.maximum(np.bincount(ring), 1)
        log = np.log(np.maximum(mean, 1e-12 * mean.max()))
        centres = (np.arange(mean.size) + 0.5) * RING_PER_UM
        at = np.interp(np.hypot(*self.frequencies()), centres, log)
        return np.exp(at) * (step / self.step) ** 2

    def density(self, weight: float) -> np.ndarray:
        """Aᵀ W A for a constant W, by frequency (frames of a direction taken as evenly stepped)."""
        ky, kx = self.frequencies()
        total = np.zeros((ky.size, kx.size))
        for d in self.truth.pattern.directions:
            for b, amplitude in ((0, 1.0), (1, d.modulation[0] / 2), (-1, d.modulation[0] / 2)):
                fy, fx = d.frequency_per_um
                gain = np.abs(evaluate_otf(self.truth.otf, ky + b * fy, kx + b * fx))
                total += len(d.phase_rad) * (amplitude * gain) ** 2
        return total * (self.padded / self.fine) ** 2 * weight


def stacked(slopes: list[np.ndarray]) -> list[np.ndarray]:
    """∂(all frames)/∂(f_y, f_x, m, φ_j, g_j) of all directions from those of single frames."""
    result = []
    for d, one in enumerate(slopes):
        phases = one.shape[0]
        for n in range(3 + 2 * phases):
            frames = np.zeros((len(slopes), phases, *one.shape[2:]), np.float32)
            if n < 3:
                frames[d] = one[:, n]
            else:
                frames[d, (n - 3) % phases] = one[(n - 3) % phases, 3 + (n - 3) // phases]
            result.append(frames)
    return result


def fisher(
    model: Frames, slopes: list[np.ndarray], variance_e2: np.ndarray, prior: np.ndarray | None
) -> np.ndarray:
    """Information about the parameters of :func:`stacked`; `prior` None: the object is known."""
    columns, weight = stacked(slopes), (1.0 / variance_e2).astype(np.float32)
    known = np.array([[float(np.vdot(a * weight, b)) for b in columns] for a in columns])
    if prior is None:
        return known
    ky, kx = model.frequencies()
    reach = model.truth.otf.cutoff_per_um + np.hypot(
        *model.truth.pattern.directions[0].frequency_per_um
    )
    seen = np.hypot(ky, kx) < reach
    inverse = np.where(seen, 1.0 / prior, 0.0).astype(np.float32)
    diagonal = np.where(seen, model.density(float(weight.mean())) + inverse, 1.0)
    precondition = seen / diagonal

    def filtered(image: np.ndarray, gain: np.ndarray) -> np.ndarray:
        return scipy.fft.irfft2(scipy.fft.rfft2(image) * gain, s=image.shape).astype(np.float32)

    right = [filtered(model.transpose(weight * c), seen) for c in columns]
    lost = np.zeros_like(known)
    for n, b in enumerate(right):
        x, gained = np.zeros_like(b), [0.0]
        r = b.copy()
        z = filtered(r, precondition)
        p, rz = z, float(np.vdot(r, z))
        for number in range(ITERATIONS):
            curved = filtered(model.transpose(weight * model(p)), seen) + filtered(p, inverse)
            step = rz / float(np.vdot(p, curved))
            x, r = x + step * p, r - step * curved
            gained.append(step * rz)
            left = known[n, n] - sum(gained)
            if number > 4 and sum(gained[-4:]) < TOLERANCE * max(left, 0.0):
                break
            z = filtered(r, precondition)
            rz, before = float(np.vdot(r, z)), rz
            p = z + rz / before * p
        lost[n] = [float(np.vdot(other, x)) for other in right]
    return known - 0.5 * (lost + lost.T)


def variances(information: np.ndarray, directions: int) -> np.ndarray:
    """Bounds (D, 3 + 2P) of f_y, f_x, m, φ_j, g_j; the common brightness, unknowable, held."""
    count = information.shape[0] // directions
    phases = (count - 3) // 2
    common = np.tile(np.r_[np.zeros(3 + phases), np.ones(phases)], directions)
    stiff = information + np.outer(common, common) * 1e3 * np.diag(information).max() / common.sum()
    scale = 1.0 / np.sqrt(np.diag(stiff))
    variance = np.diag(np.linalg.inv(stiff * np.outer(scale, scale))) * scale**2
    return variance.reshape(directions, count)

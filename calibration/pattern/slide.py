"""The pattern on an even fluorescent sheet, where it is seen directly.

The fit of the engine compares bands of an object; an even sheet has nothing to compare. Its frames
are ``g_j B(r) [1 + m H(p) cos(2π p·r + φ_j)] + texture``, so p, φ and m follow from the Fourier
transform of the frames at p. Texture does not move with the phases: at p it adds one complex number
to all frames of a direction, the centre of the circle on which their coefficients lie.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.optimize import minimize

from simrecon.estimate.phase import phases_from_carrier
from simrecon.estimate.window import wrap
from simrecon.model.local_field import LocalField
from simrecon.model.pattern import DirectionPattern, PatternFit, Verdict, worst
from simrecon.model.psf import DetectionOTF
from simrecon.physics.otf import evaluate_otf

EVEN = 0.15
"""Relative structure (rms) of the widefield below which a sample is taken for a sheet. Simulated
sheets have 0.03, the emptiest cells and beads above 0.5."""
SNR_OK, SNR_WEAK = 12.0, 6.0
"""Amplitude over its noise; the highest of 10⁵ samples of pure noise reaches 4.8 (√(2 ln 10⁵))."""
MODULATION_OK = 0.05
RING = (0.3, 1.15)
NODES = 5
LOCAL_CHI2, LOCAL_RMS = 3.0, 0.05
"""Mean square deviation of the nodes over their variance, and its root, from which the pattern is
said to vary over the field."""


def structure(frames_e: np.ndarray, variance_e2: np.ndarray, pixel_um: float) -> float:
    """Relative rms of the widefield's structure between 0.3 and 3 µm, without its noise."""
    wide = frames_e.mean(axis=(0, 1), dtype=np.float64)
    count = frames_e.shape[0] * frames_e.shape[1]
    fine, coarse = 0.15 / pixel_um, 1.5 / pixel_um
    band = gaussian_filter(wide, fine) - gaussian_filter(wide, coarse)
    noise = float(variance_e2.mean()) / count / (4.0 * np.pi * max(fine, 0.3) ** 2)
    inner = band[tuple(slice(n // 8, n - n // 8) for n in band.shape)]
    return float(np.sqrt(max(float(inner.var()) - noise, 0.0)) / max(float(wide.mean()), 1e-12))


def fit_slide(
    frames_e: np.ndarray,
    variance_e2: np.ndarray,
    pixel_um: float,
    otf: DetectionOTF,
    order: str = "PA",
) -> PatternFit:
    """The pattern of frames (A, P, Y, X) of an even sheet.

    Parameters
    ----------
    frames_e, variance_e2 : ndarray, shape (A, P, Y, X)
        Photo-electrons and their noise variance.
    pixel_um : float
    otf : DetectionOTF
        Its value at p turns contrast into modulation.
    order : str
        Acquisition order, for the record.

    Returns
    -------
    PatternFit
        As :func:`simrecon.estimate.estimate_pattern` gives it; phases at pixel (0, 0).
    """
    level = frames_e.mean(dtype=np.float64)
    gains = frames_e.mean(axis=(2, 3), dtype=np.float64) / level
    light = _smooth(frames_e.mean(axis=(0, 1), dtype=np.float64), 2.0 / pixel_um)
    directions, notes = [], []
    for d, (frames, variance, gain) in enumerate(zip(frames_e, variance_e2, gains, strict=True), 1):
        relative = frames / gain[:, None, None] / light
        noise = variance / gain[:, None, None] ** 2 / light**2
        carrier = _Carrier(relative - relative.mean(axis=0), noise, pixel_um)
        direction, said = carrier.fit(otf, gain)
        directions.append(direction)
        notes += [f"direction {d}{text}" for text in said]
    shape = (int(frames_e.shape[2]), int(frames_e.shape[3]))
    verdict = worst([d.verdict for d in directions])
    notes.append("even sheet: the pattern was read from the frames directly")
    return PatternFit(pixel_um, shape, tuple(directions), order, verdict, tuple(notes))


def _smooth(image: np.ndarray, sigma_px: float) -> np.ndarray:
    smooth = gaussian_filter(image, sigma_px, mode="nearest")
    return np.asarray(np.maximum(smooth, 1e-3 * float(smooth.max())))


@dataclass(frozen=True)
class _Carrier:
    """Frames of one direction, relative to the light, their mean removed."""

    frames: np.ndarray
    noise: np.ndarray
    pixel_um: float

    @cached_property
    def axes(self) -> tuple[np.ndarray, np.ndarray]:
        """Positions from the centre of the field, µm."""
        ny, nx = self.frames.shape[1:]
        return tuple(self.pixel_um * (np.arange(n) - 0.5 * (n - 1)) for n in (ny, nx))

    @cached_property
    def windows(self) -> tuple[np.ndarray, np.ndarray]:
        """Hann windows along y and x."""
        ny, nx = self.frames.shape[1:]
        return np.hanning(ny + 2)[1:-1], np.hanning(nx + 2)[1:-1]

    @cached_property
    def weight(self) -> float:
        """Sum of the window."""
        wy, wx = self.windows
        return float(wy.sum() * wx.sum())

    @cached_property
    def power_noise(self) -> float:
        """Variance of a coefficient (of its modulus, both parts together)."""
        wy, wx = self.windows
        total = np.einsum("y,pyx,x->", wy**2, self.noise, wx**2) / len(self.noise)
        return float(total) / self.weight**2

    def coefficients(self, frequency: np.ndarray) -> np.ndarray:
        """Mean of frame · exp(−2πi p·r) under the window, (P,)."""
        (y, x), (wy, wx) = self.axes, self.windows
        ey = wy * np.exp(-2j * np.pi * frequency[0] * y)
        ex = wx * np.exp(-2j * np.pi * frequency[1] * x)
        return np.asarray((self.frames @ ex) @ ey) / self.weight

    def find(self, cutoff: float) -> np.ndarray:
        """Frequency of the highest peak within the ring, refined, (2,) cycles/µm."""
        wy, wx = self.windows
        spectra = np.fft.fft2(self.frames * wy[:, None] * wx)
        power = np.sum(np.abs(spectra) ** 2, axis=0)
        ky, kx = (np.fft.fftfreq(n, self.pixel_um) for n in power.shape)
        radius = np.hypot(ky[:, None], kx)
        half = (kx > 0) | ((kx == 0) & (ky[:, None] > 0))
        ring = (radius > RING[0] * cutoff) & (radius < RING[1] * cutoff) & half
        place = np.unravel_index(int(np.argmax(np.where(ring, power, -1.0))), power.shape)
        start = np.array([ky[place[0]], kx[place[1]]])
        sample = 1.0 / (self.pixel_um * np.array(power.shape))
        scale = float(np.sum(np.abs(self.coefficients(start)) ** 2))

        def depth(move: np.ndarray) -> float:
            found = self.coefficients(start + move * sample)
            return -float(np.sum(np.abs(found) ** 2)) / max(scale, 1e-300)

        found = minimize(depth, np.zeros(2), method="Nelder-Mead",
                         options={"xatol": 1e-5, "fatol": 1e-12, "initial_simplex":
                                  [[0.0, 0.0], [0.4, 0.0], [0.0, 0.4]]})  # fmt: skip
        return np.asarray(start + found.x * sample)

    def frequency_sd(self, amplitude: float) -> np.ndarray:
        """Standard deviations of the two components: that of a phase slope under the window."""
        variance = float(self.noise.mean())
        (y, x), (wy, wx) = self.axes, self.windows
        found = []
        for (a, wa), wb in (((y, wy), wx), ((x, wx), wy)):
            top = float(np.sum(wa**2 * a**2) * np.sum(wb**2))
            bottom = float(np.sum(wa * a**2) * np.sum(wb))
            slope = np.sqrt(0.5 * variance * top / (len(self.frames) - 1)) / (amplitude * bottom)
            found.append(slope / (2.0 * np.pi))
        return np.array(found)

    def fit(self, otf: DetectionOTF, gain: np.ndarray) -> tuple[DirectionPattern, list[str]]:
        """Everything about this direction, and what is wrong with it."""
        frequency = self.find(otf.cutoff_per_um)
        found = self.coefficients(frequency)
        phase = phases_from_carrier(found)
        turn = np.exp(1j * phase) - np.mean(np.exp(1j * phase))
        whole = complex(np.sum(found * np.conj(turn)) / np.sum(np.abs(turn) ** 2))
        amplitude, phase = abs(whole), phase + np.angle(whole)
        sd = _circle_errors(amplitude, phase, np.sqrt(0.5 * self.power_noise))
        seen = max(
            float(evaluate_otf(otf, frequency[:1, None], frequency[None, 1:])[0, 0].real), 1e-6
        )
        modulation, modulation_sd = 2.0 * amplitude / seen, 2.0 * float(sd[0]) / seen
        snr = amplitude / np.sqrt(self.power_noise / len(self.frames))
        verdict, said = _judged(snr, modulation, seen)
        field = None if verdict == "failed" else self.local(frequency, phase, amplitude)
        if field is not None:
            facts = field.summary()
            said.append(": the pattern varies over the field (phase up to "
                        f"{facts['max_phase_deviation_deg']:.0f}°)")  # fmt: skip
        centre = np.array([-axis[0] for axis in self.axes])
        origin = wrap(phase - 2.0 * np.pi * float(frequency @ centre))
        errors = self.frequency_sd(amplitude)
        return DirectionPattern(
            frequency_per_um=(float(frequency[0]), float(frequency[1])),
            phase_rad=tuple(float(p) for p in origin), modulation=(float(modulation),),
            intensity=tuple(float(g) for g in gain),
            frequency_sd_per_um=(float(errors[0]), float(errors[1])),
            phase_sd_rad=tuple(float(s) for s in np.minimum(sd[1:], np.pi / np.sqrt(3.0))),
            modulation_sd=(modulation_sd,), peak_to_background=float(snr), verdict=verdict,
            local=field,
        ), said  # fmt: skip

    def local(
        self, frequency: np.ndarray, phase: np.ndarray, amplitude: float
    ) -> LocalField | None:
        """Deviation over the field where it is significant."""
        turn = np.exp(1j * phase) - np.mean(np.exp(1j * phase))
        (y, x), power = self.axes, float(np.sum(np.abs(turn) ** 2))
        rest = np.einsum("p,pyx->yx", np.conj(turn), self.frames) / power
        rest = rest * np.exp(-2j * np.pi * (frequency[0] * y[:, None] + frequency[1] * x))
        sigma = 0.35 * min(rest.shape) / NODES
        smooth = gaussian_filter(rest.real, sigma) + 1j * gaussian_filter(rest.imag, sigma)
        nodes = [np.round(np.linspace(0.5, NODES - 0.5, NODES) * n / NODES).astype(int)
                 for n in rest.shape]  # fmt: skip
        values = smooth[np.ix_(*nodes)] / amplitude
        variance = float(self.noise.mean()) / power / (4.0 * np.pi * sigma**2)
        sd = float(np.sqrt(variance)) / amplitude
        away = float(np.mean(np.abs(values - values.mean()) ** 2))
        if away < LOCAL_CHI2 * sd**2 or away < LOCAL_RMS**2:
            return None
        return LocalField.of(self.pixel_um * nodes[0], self.pixel_um * nodes[1], values,
                             np.full(values.shape, sd), values.size)  # fmt: skip


def _circle_errors(amplitude: float, phase: np.ndarray, sd: float) -> np.ndarray:
    """Standard deviations of amplitude and phases on a circle of unknown centre, (1 + P,)."""
    count = phase.size
    jacobian = np.zeros((2 * count, count + 3))
    jacobian[:count, 0], jacobian[count:, 0] = np.cos(phase), np.sin(phase)
    index = np.arange(count)
    jacobian[index, 1 + index] = -amplitude * np.sin(phase)
    jacobian[count + index, 1 + index] = amplitude * np.cos(phase)
    jacobian[:count, -2], jacobian[count:, -1] = 1.0, 1.0
    covariance = np.linalg.pinv(jacobian.T @ jacobian, rcond=1e-10)
    return np.asarray(sd * np.sqrt(np.diag(covariance))[: count + 1])


def _judged(snr: float, modulation: float, seen: float) -> tuple[Verdict, list[str]]:
    said = []
    verdict: Verdict = "ok"
    if snr < SNR_OK:
        verdict = "weak" if snr >= SNR_WEAK else "failed"
        said.append(f" {verdict}: the pattern stands {snr:.1f} noise sd high (ok from {SNR_OK:g})")
    elif modulation < MODULATION_OK or modulation > 1.2:
        verdict = "weak"
        said.append(f" weak: modulation {modulation:.2f}, the OTF at the pattern is {seen:.3f}")
    return verdict, said

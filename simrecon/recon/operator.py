"""The frozen linear operator L: raw frames to a super-resolution picture, and all that follows.

    Ŝ = L D = Re Σ_d Σ_n F⁻¹{ G_dn(k) · F{ e^{-2πi n p_d·r} Σ_j c_dn,j D_dj } },
    G_dn(k) = A(k) · conj(a_dn H(k + n p_d)) / N_dn / (Σ |a H|²/N + Γ(k))          physics.md §3

With attenuation (:mod:`.attenuation`) every 1/N_dn is multiplied by a weight round the band's
centre.

Bands are demodulated on the raw grid, so all of them meet in one sum at their places in the
object spectrum and share one inverse transform. The mirror extension acts on demodulated
bands: a constant object stays constant up to the border. A pattern that varies over the field
(``DirectionPattern.local``) is undone with the demodulation, to first order in its slope over one
PSF; :meth:`Reconstructor.forward` lights the object with it and is exact. Where the sample drifted,
frames that share a displacement u form a group; its filters carry ``exp(±2πi k·u)``
(:mod:`.shift`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from simrecon.backend import Array, fft2, ifft2, like, namespace, to_numpy
from simrecon.errors import InputError, UsageError
from simrecon.model.grid import Grid
from simrecon.model.pattern import PatternFit
from simrecon.model.psf import DetectionOTF, centred_crop
from simrecon.recon.apodization import Apodization, apodization
from simrecon.recon.attenuation import Attenuation, CentreWeight
from simrecon.recon.bands import Band, make_bands
from simrecon.recon.folding import Folding, mirrored
from simrecon.recon.padding import MirrorPadding
from simrecon.recon.propagate import moment_terms
from simrecon.recon.regularization import Regularization
from simrecon.recon.shift import BandPart, band_parts, frame_groups
from simrecon.recon.spectrum import SignalPower, fit_signal_power

__all__ = ["Reconstructor", "Regularization"]

DEFAULT_MARGIN_UM = 1.6
"""Mirror margin on every side: several widths of any detection PSF of NA ≥ 0.5."""


class Reconstructor:
    """Linear SIM reconstruction with frozen pattern, OTF and regularisation.

    Parameters
    ----------
    pattern : PatternFit
        Directions with frequency, phases, intensities and modulations.
    otf : RadialOTF or GridOTF
        Detection OTF.
    grid : Grid
        Raw grid; any size. `pattern` may have been fitted on another field of the same pixel
        size only if its phases refer to this field's pixel (0, 0).
    zoom : int
        SR pixels per raw pixel and axis.
    frame_variance_e2 : array_like, shape (A, P), or float
        Mean noise variance of each frame, e²: the noise weights of the bands.
    regularization : Regularization or None
        Γ; :meth:`from_frames` builds the automatic one. None leaves an operator that can only
        run :meth:`forward` and :meth:`signal_power`.
    apodization_kind : {"support", "triangle", "none"}
    attenuation : Attenuation or None
        Less weight for the centres of the bands, where out-of-focus light is.
    margin_um : float
        Mirror margin on every side.
    reference : array, optional
        Any array of the library and device on which the operator shall live; default NumPy.

    Notes
    -----
    Frames are float32 photo-electrons of shape (A, P, Y, X); images are float32 of shape
    (zoom·Y, zoom·X) in photo-electrons per raw pixel area, never clipped. The operator is
    immutable: build it once and apply it to as many time points as you like.
    """

    def __init__(
        self,
        pattern: PatternFit,
        otf: DetectionOTF,
        grid: Grid,
        *,
        frame_variance_e2: Any,
        regularization: Regularization | None,
        zoom: int = 2,
        apodization_kind: Apodization = "support",
        attenuation: Attenuation | None = None,
        margin_um: float = DEFAULT_MARGIN_UM,
        reference: Array | None = None,
    ) -> None:
        if not np.isclose(pattern.pixel_um, grid.pixel_um, rtol=1e-6):
            raise InputError(
                "The pattern was fitted at another pixel size.",
                expected=f"{grid.pixel_um} µm",
                got=f"{pattern.pixel_um} µm",
                hint="fit the pattern on these data, or correct --pixel-um",
            )
        phases = {len(d.phase_rad) for d in pattern.directions}
        if len(phases) != 1:
            raise InputError("All directions need the same number of phases.", got=str(phases))
        self.pattern = pattern
        self.otf = otf
        self.grid = grid
        self.zoom = zoom
        self.sr_grid = grid.zoomed(zoom)
        self.regularization = regularization
        self.apodization_kind = apodization_kind
        self.margin_um = margin_um
        self.attenuation = attenuation
        self.frames_shape = (len(pattern.frame_sets), phases.pop(), *grid.shape)
        self._reference = np.zeros(1, np.float32) if reference is None else reference
        variance = np.broadcast_to(
            np.asarray(frame_variance_e2, dtype=np.float64), self.frames_shape[:2]
        )
        if not (np.all(np.isfinite(variance)) and np.all(variance > 0)):
            raise InputError(
                "Every frame needs a positive noise variance.",
                expected="e² > 0",
                got=f"minimum {variance.min()}",
                hint="give the camera's gain and read noise (--gain, --read-noise-e)",
            )
        self.frame_variance_e2 = variance
        self.bands: tuple[Band, ...] = make_bands(pattern, variance)
        self._padding = MirrorPadding.around(grid.shape, int(np.ceil(margin_um / grid.pixel_um)))
        self._sr_padding = self._padding.zoomed(zoom)
        self._folding = Folding(zoom, self._padding.padded)
        self._padded_sr = Grid(self._sr_padding.padded, self.sr_grid.pixel_um)
        self._filters: list[Array] = []
        self._build_analysis()
        if regularization is not None:
            self._build_synthesis()

    # -- construction -----------------------------------------------------------------------

    @classmethod
    def from_frames(
        cls,
        frames: Array,
        pattern: PatternFit,
        otf: DetectionOTF,
        grid: Grid,
        *,
        frame_variance_e2: Any,
        regularization_factor: float = 1.0,
        **options: Any,
    ) -> Reconstructor:
        """Build the operator with the automatic Γ measured on `frames` (then frozen).

        Parameters
        ----------
        frames : array, shape (A, P, Y, X), float32, e
            Data from which the object's power spectrum is estimated; they also choose the
            library and device.
        regularization_factor : float
            Factor on the automatic Γ; 1 is the MMSE choice.
        **options
            Further parameters of the class (zoom, apodization_kind, attenuation, margin_um).
        """
        operator = cls(
            pattern,
            otf,
            grid,
            frame_variance_e2=frame_variance_e2,
            regularization=None,
            reference=frames,
            **options,
        )
        operator.regularization = Regularization(
            operator.signal_power(frames), regularization_factor
        )
        operator._build_synthesis()
        return operator

    def _build_analysis(self) -> None:
        """Transfers of object to bands, computed on the host and stored as complex64."""
        ky, kx = self._padded_sr.frequencies_per_um()
        offset = self.sr_grid.offset_um - self.grid.offset_um
        # moves sampling points from SR pixel centres to raw pixel centres, or back (conjugate)
        ramp_y, ramp_x = np.exp(-2j * np.pi * offset * ky), np.exp(-2j * np.pi * offset * kx)
        ny, nx = self._padded_sr.shape
        precision = np.zeros((ny, nx))
        self._analysis = []
        for band in self.bands:
            rows, columns, transfer = band.transfer_block(self.otf, self._padded_sr)
            power = np.abs(transfer) ** 2 / band.noise_e2
            precision[np.ix_(rows, columns)] += power
            if band.order > 0:  # its conjugate band lies mirrored
                precision[np.ix_(-rows % ny, -columns % nx)] += power
            analysis = np.zeros((ny, nx), np.complex64)
            ramp = ramp_y[rows] * ramp_x[:, columns] / self.zoom**2
            analysis[np.ix_(rows, columns)] = transfer * ramp
            self._analysis.append(self._complex(analysis))
        self._precision = precision
        self._demodulation, self._carrier = [], []
        self._light: list[Array | None] = []
        for band in self.bands:
            self._demodulation.append(self._complex(band.demodulation(self.grid)))
            self._carrier.append(self._complex(band.carrier(self.grid)))
            light = band.light(self.sr_grid)
            self._light.append(None if light is None else self._complex(light))
        self._groups = [
            band_parts(group, self.bands, self._padded_sr, self._complex)
            for a, members in enumerate(self.pattern.frame_sets)
            for group in frame_groups(a, self.pattern.directions[members[0]])
        ]

    def _build_synthesis(self) -> None:
        """Wiener filters G of all bands and the effective OTF, for the present Γ."""
        assert self.regularization is not None
        grid = self._padded_sr
        ky, kx = grid.frequencies_per_um()
        gamma = self.regularization.gamma(np.hypot(ky, kx), self._precision)
        window = apodization(self.apodization_kind, self.bands, self.otf.cutoff_per_um, grid)
        centre = CentreWeight.of(self.attenuation, self.bands, self.otf)
        precision = self._precision
        if centre.excess > 0:
            precision = centre.precision(self.bands, self.otf, grid)
        inverse = np.divide(
            window,
            precision + gamma,
            out=np.zeros_like(window),
            where=precision > 1e-12 * precision.max(),
        )
        self._effective_otf = precision * inverse
        self._unmodulated = centre.unmodulated_response(self.bands, inverse)
        shared = self._real(self.zoom**4 * inverse)
        xp = namespace(shared)
        self._filters = []
        for band, analysis in zip(self.bands, self._analysis, strict=True):
            weight = shared * (band.multiplicity / band.noise_e2)
            if centre.excess > 0:
                weight = weight * self._real(centre.of_band(band, grid))
            self._filters.append(xp.conj(analysis) * weight)

    @property
    def _synthesis(self) -> list[Array]:
        if not self._filters:
            raise UsageError(
                "The reconstruction needs a regularisation.",
                expected="Reconstructor.from_frames, or regularization=Regularization(…)",
                got="regularization=None",
            )
        return self._filters

    @property
    def reference(self) -> Array:
        """An array of the library and device on which the operator lives."""
        return self._reference

    def _complex(self, values: np.ndarray) -> Array:
        return like(values, self._reference, namespace(self._reference).complex64)

    def _real(self, values: np.ndarray) -> Array:
        return like(values, self._reference, namespace(self._reference).float32)

    def _band_spectrum(self, frames: Array, part: BandPart) -> Array:
        """Spectrum of one separated, demodulated, mirror-extended band; padded raw size."""
        xp = namespace(frames)
        field = xp.sum(part.weights * frames[self.bands[part.index].frames, ...], axis=0)
        return fft2(self._padding.extend(field * self._demodulation[part.index]))

    def _all_parts(self) -> Iterator[BandPart]:
        for group in self._groups:
            yield from group

    def _check(self, array: Array, shape: tuple[int, ...], what: str) -> Array:
        if tuple(array.shape) != shape:
            raise InputError(
                f"{what} have the wrong shape.", expected=str(shape), got=str(tuple(array.shape))
            )
        xp = namespace(array)
        return xp.astype(array, xp.float32, copy=False)

    # -- the operator and what follows from it -----------------------------------------------

    def reconstruct(self, frames: Array) -> Array:
        """Apply L.

        Parameters
        ----------
        frames : array, shape (A, P, Y, X), e

        Returns
        -------
        array, shape (zoom·Y, zoom·X), float32
            Photo-electrons per raw pixel area.
        """
        frames = self._check(frames, self.frames_shape, "Frames")
        total = None
        for part in self._all_parts():
            synthesis = part.restored(self._synthesis[part.index])
            one = self._folding.multiply(synthesis, self._band_spectrum(frames, part))
            total = one if total is None else total + one
        xp = namespace(frames)
        image = self._sr_padding.crop(xp.real(ifft2(total)))
        return xp.asarray(image, dtype=xp.float32, copy=True)

    __call__ = reconstruct

    def adjoint(self, image: Array) -> Array:
        """Apply Lᵀ: an SR image to frames, ``⟨L D, S⟩ = ⟨D, Lᵀ S⟩``; float32 (A, P, Y, X)."""
        image = self._check(image, self.sr_grid.shape, "Images")
        xp = namespace(image)
        q2 = self.zoom**2  # ratio of the two transforms' lengths
        spectrum = fft2(self._sr_padding.embed(image))
        frames: list[Array] = [None] * self.frames_shape[0]
        for part in self._all_parts():
            synthesis = part.restored(self._synthesis[part.index])
            back = self._folding.fold(xp.conj(synthesis) * spectrum) / q2
            field = self._padding.gather(ifft2(back)) * xp.conj(self._demodulation[part.index])
            one = xp.real(xp.conj(part.weights) * field[None, ...])
            a = self.bands[part.index].frames
            frames[a] = one if frames[a] is None else frames[a] + one
        return xp.astype(xp.stack(frames), xp.float32, copy=False)

    def forward(self, image: Array) -> Array:
        """Expected raw frames of an object: the SIM forward model on the SR grid.

        Parameters
        ----------
        image : array, shape (zoom·Y, zoom·X)
            Object estimate (sharp: before the microscope), photo-electrons per raw pixel area.

        Returns
        -------
        array, shape (A, P, Y, X), float32
            Expected photo-electrons of every frame (physics.md §1).
        """
        image = self._check(image, self.sr_grid.shape, "Images")
        xp = namespace(image)
        even = fft2(self._sr_padding.extend(image))
        frames: list[Array] = [None] * self.frames_shape[0]
        for part in self._all_parts():
            light = self._light[part.index]
            lit = even if light is None else fft2(self._sr_padding.extend(image * light))
            transfer = part.displaced(self._analysis[part.index])
            field = self._padding.crop(ifft2(self._folding.fold(transfer * lit)))
            field = field * self._carrier[part.index]
            one = xp.real(part.mixing * field[None, ...])
            a = self.bands[part.index].frames
            frames[a] = one if frames[a] is None else frames[a] + one
        return xp.astype(xp.stack(frames), xp.float32, copy=False)

    def forward_adjoint(self, frames: Array) -> Array:
        """Apply Fᵀ, F being :meth:`forward`: ``⟨F S, D⟩ = ⟨S, Fᵀ D⟩``.

        Not a reconstruction: the gradient of every misfit of frames is Fᵀ of its derivative.

        Parameters
        ----------
        frames : array, shape (A, P, Y, X)

        Returns
        -------
        array, shape (zoom·Y, zoom·X), float32
        """
        frames = self._check(frames, self.frames_shape, "Frames")
        xp = namespace(frames)
        total = None
        image = 0.0
        for part in self._all_parts():
            own = self.bands[part.index].frames
            field = xp.sum(xp.conj(part.mixing) * frames[own, ...], axis=0)
            spectrum = fft2(self._padding.embed(field * xp.conj(self._carrier[part.index])))
            transfer = xp.conj(part.displaced(self._analysis[part.index]))
            one = self._folding.multiply(transfer, spectrum)
            light = self._light[part.index]
            if light is None:
                total = one if total is None else total + one
            else:
                image = image + xp.real(self._sr_padding.gather(ifft2(one)) * xp.conj(light))
        image = image + self._sr_padding.gather(xp.real(ifft2(total)))
        return xp.astype(image * self.zoom**2, xp.float32, copy=False)

    def variance(self, variance_e2: Array) -> Array:
        """Exact variance of ``reconstruct(frames)`` for independent raw noise.

        Parameters
        ----------
        variance_e2 : array, shape (A, P, Y, X)
            Noise variance of every raw pixel, e².

        Returns
        -------
        array, shape (zoom·Y, zoom·X), float32
            Variance of every SR pixel, e². Noise and its mirror image are treated as
            independent, so pixels within about one PSF of the border are off by up to the
            correlation of the two.
        """
        variance_e2 = self._check(variance_e2, self.frames_shape, "Variances")
        xp = namespace(variance_e2)
        total = None
        for parts in self._groups:
            kernels = [ifft2(p.restored(self._synthesis[p.index])) for p in parts]
            frames = variance_e2[self.bands[parts[0].index].frames, ...]
            for term in moment_terms(len(parts)):
                first, second = parts[term.first], parts[term.second]
                other, weight, carrier = (
                    kernels[term.second],
                    second.weights,
                    self._demodulation[second.index],
                )
                if term.conjugate:
                    other, weight, carrier = xp.conj(other), xp.conj(weight), xp.conj(carrier)
                moment = xp.sum(first.weights * weight * frames, axis=0)
                carrier = self._demodulation[first.index] * carrier
                source = fft2(self._padding.extend(moment * carrier))
                part = term.factor * self._folding.multiply(
                    fft2(kernels[term.first] * other), source
                )
                total = part if total is None else total + part
        image = self._sr_padding.crop(xp.real(ifft2(total)))
        return xp.asarray(image, dtype=xp.float32, copy=True)

    def signal_power(self, frames: Array) -> SignalPower:
        """Fit the object's radial power spectrum to `frames` (see :mod:`.spectrum`)."""
        frames = self._check(frames, self.frames_shape, "Frames")
        xp = namespace(frames)
        central: Any = 0.0  # orders 0
        upper: Any = 0.0  # orders above 0, without their conjugates
        # the band matched filter conj(aH)/N is the analysis filter, not the Wiener one; all is
        # summed in its complex conjugate, which has the same power
        for part in self._all_parts():
            scale = self.zoom**2 / self.bands[part.index].noise_e2
            spectrum = xp.conj(self._band_spectrum(frames, part)) * scale
            one = self._folding.multiply(part.displaced(self._analysis[part.index]), spectrum)
            if self.bands[part.index].order == 0:
                central = central + one
            else:
                upper = upper + one
        total = central + upper + xp.conj(mirrored(upper))
        half = slice(0, self._padded_sr.shape[1] // 2 + 1)  # the rest repeats it
        matched = np.abs(to_numpy(total[:, half])).astype(np.float64)
        ky, kx = self._padded_sr.frequencies_per_um()
        return fit_signal_power(
            matched**2 / np.prod(self._padding.padded),
            self._precision[:, half],
            np.hypot(ky, kx[:, half]),
        )

    # -- effective optics --------------------------------------------------------------------

    @property
    def padded_sr_grid(self) -> Grid:
        """Grid of :meth:`effective_otf`: the extended SR field (position of pixel 0 unused)."""
        return self._padded_sr

    def band_precision(self) -> np.ndarray:
        """``Σ |a H|²/N`` over all bands: host float64, FFT order, on `padded_sr_grid`, 1/e²."""
        precision: np.ndarray = self._precision.copy()
        return precision

    def effective_otf(self) -> np.ndarray:
        """T(k) with ``E[Ŝ] = T ⊛ S``: host float64, FFT order, on `padded_sr_grid`; T(0) = 1.

        Of light that is modulated, i.e. in focus, also with attenuation.
        """
        self._synthesis  # noqa: B018 - raises when there is no regularisation
        effective: np.ndarray = self._effective_otf.copy()
        return effective

    @property
    def unmodulated_response(self) -> float:
        """What is left of uniform light that is not modulated: about 1 without attenuation."""
        self._synthesis  # noqa: B018 - raises when there is no regularisation
        return self._unmodulated

    def effective_psf(self, shape: tuple[int, int] | None = None) -> np.ndarray:
        """Effective point-spread function: anisotropic in general, exact.

        Parameters
        ----------
        shape : (int, int), optional
            Crop (Y, X) of the padded SR grid; default all of it.

        Returns
        -------
        ndarray, float32
            Centred on pixel N//2 of both axes; the uncropped array sums to 1.
        """
        psf = np.fft.fftshift(np.real(np.fft.ifft2(self.effective_otf())))
        if shape is not None:
            psf = centred_crop(psf, shape)
        result: np.ndarray = psf.astype(np.float32)
        return result

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

from copy import copy
from functools import partial
from typing import Any

import numpy as np

from simrecon.backend import (
    Array,
    device_of,
    fftn,
    ifftn,
    irfftn,
    like,
    namespace,
    rfftn,
    to_numpy,
)
from simrecon.errors import InputError, UsageError
from simrecon.model.grid import AnyGrid, resized
from simrecon.model.pattern import PatternFit
from simrecon.model.psf import AnyOTF, centred_crop
from simrecon.recon.apodization import Apodization
from simrecon.recon.attenuation import Attenuation, CentreWeight
from simrecon.recon.axial_border import AxialBorder
from simrecon.recon.bands import Band, make_bands
from simrecon.recon.filters import (
    Analysis,
    Synthesis,
    frequency_step,
    half_planes,
    modulus,
    wiener,
)
from simrecon.recon.padding import MirrorPadding
from simrecon.recon.part import shifted
from simrecon.recon.propagate import KernelMoments
from simrecon.recon.regularization import Regularization
from simrecon.recon.requirements import check_parts, frame_variances
from simrecon.recon.shift import BandPart, band_parts, frame_groups, weighted_sum
from simrecon.recon.spectrum import PowerRings, SignalPower
from simrecon.recon.support import even_full
from simrecon.recon.transfer import mirror_margins

__all__ = ["Reconstructor", "Regularization"]

DEFAULT_MARGIN_UM = 1.6
"""Mirror margin on every side: several widths of any detection PSF of NA ≥ 0.5."""


class Reconstructor:
    """Linear SIM reconstruction with frozen pattern, OTF and regularisation.

    Parameters
    ----------
    pattern : PatternFit
        Directions with frequency, phases, intensities and modulations.
    otf : DetectionOTF or VolumeOTF
        Detection OTF; of a volume with every order of the pattern.
    grid : Grid or VolumeGrid
        Raw grid; any size. `pattern` may have been fitted on another field of the same pixel
        size only if its phases refer to this field's pixel (0, 0).
    zoom : int
        SR pixels per raw pixel and lateral axis; planes stay.
    frame_variance_e2 : array_like, shape (A, P), or float
        Mean noise variance of each frame, e²: the noise weights of the bands.
    regularization : Regularization or None
        Γ; :meth:`from_frames` builds the automatic one. None leaves an operator that can only
        run :meth:`forward` and :meth:`signal_power`.
    apodization_kind : {"support", "triangle", "none"}
    attenuation : Attenuation, CentreWeight or None
        Less weight for the centres of the bands, where out-of-focus light is (of volumes: light
        from beyond them, :data:`.attenuation.DISTANT_LIGHT`).
    margin_um : float
        Lateral mirror margin on every side; that in z follows from the axial cut-offs of the OTF.
    reference : array, optional
        Any array of the library and device on which the operator shall live; default NumPy.

    Notes
    -----
    Frames are float32 photo-electrons of shape (A, P, Y, X), of volumes (A, P, Z, Y, X); images are
    float32 of shape (zoom·Y, zoom·X) or (Z, zoom·Y, zoom·X) in photo-electrons per raw pixel area,
    never clipped. Where the methods say (Y, X), volumes have (Z, Y, X). The operator is immutable:
    build it once and apply it to as many time points as you like.
    """

    def __init__(
        self,
        pattern: PatternFit,
        otf: AnyOTF,
        grid: AnyGrid,
        *,
        frame_variance_e2: Any,
        regularization: Regularization | None,
        zoom: int = 2,
        apodization_kind: Apodization = "support",
        attenuation: Attenuation | CentreWeight | None = None,
        margin_um: float = DEFAULT_MARGIN_UM,
        reference: Array | None = None,
    ) -> None:
        phases = check_parts(pattern, otf, grid)
        self.pattern = pattern
        self.otf: Any = otf  # DetectionOTF of a plane, VolumeOTF of a volume
        self.grid = grid
        self.zoom = zoom
        self._axes = len(grid.shape)
        self.sr_grid = grid.zoomed(zoom)
        self.regularization = regularization
        self.apodization_kind = apodization_kind
        self.margin_um = margin_um
        self.attenuation = attenuation
        self.frames_shape = (len(pattern.frame_sets), phases, *grid.shape)
        self._reference = np.zeros(1, np.float32) if reference is None else reference
        self.frame_variance_e2 = frame_variances(frame_variance_e2, self.frames_shape[:2])
        self.bands: tuple[Band, ...] = make_bands(pattern, self.frame_variance_e2)
        self._padding = MirrorPadding.around(grid.shape, mirror_margins(grid, otf, margin_um))
        self._sr_padding = self._padding.zoomed(zoom)
        self._padded_sr = resized(self.sr_grid, self._sr_padding.padded)
        self._analysis = Analysis(
            self.bands,
            otf,
            self._padded_sr,
            self._padding.padded,
            offset_um=self.sr_grid.offset_um - grid.offset_um,
            zoom=zoom,
            to_complex=self._complex,
        )
        self._build_light()
        self._wiener: Synthesis | None = None
        if regularization is not None:
            self._build_synthesis()

    # -- construction -----------------------------------------------------------------------

    @classmethod
    def from_frames(
        cls,
        frames: Array,
        pattern: PatternFit,
        otf: AnyOTF,
        grid: AnyGrid,
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
        power = operator.signal_power(frames)
        return operator.regularized(Regularization(power, regularization_factor))

    def at(self, start: tuple[int, ...]) -> Reconstructor:
        """The operator of an equally large field that begins at raw pixel ([z,] y, x) of this one:
        only the phases of the pattern differ.
        """
        other = copy(self)
        other.pattern = shifted(self.pattern, (start[-2], start[-1]), self.pattern.shape)
        other.bands = make_bands(other.pattern, self.frame_variance_e2)
        other._build_light()
        return other

    def regularized(self, regularization: Regularization) -> Reconstructor:
        """The operator with another Γ."""
        other = copy(self)
        other.regularization = regularization
        other._build_synthesis()
        return other

    def _build_light(self) -> None:
        """Carriers and local patterns of the bands, and the parts that the drift makes of them."""
        self._demodulation = [self._complex(band.demodulation(self.grid)) for band in self.bands]
        self._carrier = [self._complex(band.carrier(self.grid)) for band in self.bands]
        light = [band.light(self.sr_grid) for band in self.bands]
        self._light = [None if one is None else self._complex(one) for one in light]
        self._groups = [
            band_parts(group, self.bands, self._analysis.blocks, self._padded_sr, self._complex)
            for a, members in enumerate(self.pattern.frame_sets)
            for group in frame_groups(a, self.pattern.directions[members[0]])
        ]
        self._parts = [part for parts in self._groups for part in parts]

    def _build_synthesis(self) -> None:
        assert self.regularization is not None
        self._moments = KernelMoments(self.bands, self._groups, self._analysis.blocks)
        self._wiener = wiener(
            self._analysis,
            self.regularization,
            self.apodization_kind,
            self.attenuation,
            self._real,
        )
        self._border = AxialBorder(
            self.bands, self._analysis.blocks, self._wiener.filters, self._padding
        )

    @property
    def _synthesis(self) -> Synthesis:
        """Wiener filters G of all bands and the effective OTF, for the present Γ."""
        if self._wiener is None:
            raise UsageError(
                "The reconstruction needs a regularisation.",
                expected="Reconstructor.from_frames, or regularization=Regularization(…)",
                got="regularization=None",
            )
        return self._wiener

    @property
    def reference(self) -> Array:
        """An array of the library and device on which the operator lives."""
        return self._reference

    def _complex(self, values: np.ndarray) -> Array:
        return like(values, self._reference, namespace(self._reference).complex64)

    def _real(self, values: np.ndarray) -> Array:
        return like(values, self._reference, namespace(self._reference).float32)

    def _filter(self, part: BandPart) -> Array:
        return part.restored(self._synthesis.filters[part.index])

    def _filters(self, parts: list[BandPart]) -> list[Array]:
        return [self._filter(part) for part in parts]

    def _transfer(self, part: BandPart) -> Array:
        return part.displaced(self._analysis.transfers[part.index])

    def _band_spectrum(self, frames: Array, part: BandPart) -> Array:
        """Spectrum of one separated, demodulated, mirror-extended band; padded raw size."""
        field = weighted_sum(part.weights, frames[self.bands[part.index].frames, ...])
        return self._padding.spectrum(field * self._demodulation[part.index])

    def _half(self) -> Array:
        """An empty half spectrum of the padded SR field."""
        shape = self._analysis.whole.half_shape
        xp = namespace(self._reference)
        return xp.zeros(shape, dtype=xp.complex64, device=device_of(self._reference))

    def _field(self, half: Array) -> Array:
        """The padded SR field of a half spectrum."""
        return irfftn(half, self._sr_padding.padded)

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
        total = self._half()
        for part in self._parts:
            block = self._analysis.blocks[part.index]
            block.add_hermitian(total, self._filter(part), self._band_spectrum(frames, part))
        return self._sr_padding.crop(self._field(total)) * 0.5

    __call__ = reconstruct

    def adjoint(self, image: Array) -> Array:
        """Apply Lᵀ: an SR image to frames, ``⟨L D, S⟩ = ⟨D, Lᵀ S⟩``; float32 (A, P, Y, X)."""
        image = self._check(image, self.sr_grid.shape, "Images")
        xp = namespace(image)
        q2 = self.zoom**2  # ratio of the two transforms' lengths
        spectrum = rfftn(self._sr_padding.embed(image), self._axes)
        frames = self._no_frames()
        for part in self._parts:
            block = self._analysis.blocks[part.index]
            back = block.folded(spectrum, xp.conj(self._filter(part)) / q2)
            field = self._padding.gather(ifftn(back, self._axes))
            field = field * xp.conj(self._demodulation[part.index])
            self._add_frames(frames, part, xp.conj(part.weights), field)
        return frames

    def _no_frames(self) -> Array:
        xp = namespace(self._reference)
        return xp.zeros(self.frames_shape, dtype=xp.float32, device=device_of(self._reference))

    def _add_frames(self, frames: Array, part: BandPart, weights: Array, field: Array) -> None:
        """Add ``Re(weight · field)`` to every frame of a part."""
        xp = namespace(field)
        own = self.bands[part.index].frames
        for j in range(frames.shape[1]):
            frames[own, j, ...] += xp.real(weights[j] * field)

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
        even = self._spectrum(image)
        frames = self._no_frames()
        for part in self._parts:
            block, light = self._analysis.blocks[part.index], self._light[part.index]
            transfer = self._transfer(part)
            if light is None:
                seen = block.folded(even, transfer)
            else:
                xp = namespace(image)
                seen = block.folded(self._spectrum(image * xp.real(light)), transfer)
                seen += block.folded(self._spectrum(image * xp.imag(light)), 1j * transfer)
            field = self._padding.crop(ifftn(seen, self._axes))
            field = field * self._carrier[part.index]
            self._add_frames(frames, part, part.mixing, field)
        return frames

    def _spectrum(self, image: Array) -> Array:
        """Half spectrum of a mirror-extended SR image."""
        return rfftn(self._sr_padding.extend(image), self._axes)

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
        total = self._half()
        image: Any = 0.0
        for part in self._parts:
            own = frames[self.bands[part.index].frames, ...]
            field = weighted_sum(xp.conj(part.mixing), own)
            field = self._padding.embed(field * xp.conj(self._carrier[part.index]))
            spectrum = fftn(field, self._axes)
            block, transfer = self._analysis.blocks[part.index], xp.conj(self._transfer(part))
            light = self._light[part.index]
            if light is None:
                block.add_hermitian(total, transfer, spectrum)
                continue
            # Re(field · conj(light)): real and imaginary part of the field, one at a time
            for factor, shade in ((1.0, xp.real(light)), (-1j, xp.imag(light))):
                own = self._half()
                block.add_hermitian(own, factor * transfer, spectrum)
                image = image + self._sr_padding.gather(self._field(own)) * shade
        image = image + self._sr_padding.gather(self._field(total))
        return image * (0.5 * self.zoom**2)

    def variance(self, variance_e2: Array) -> Array:
        """Variance of ``reconstruct(frames)`` for independent raw noise; exact inside a plane.

        Parameters
        ----------
        variance_e2 : array, shape (A, P, Y, X)
            Noise variance of every raw pixel, e².

        Returns
        -------
        array, shape (zoom·Y, zoom·X), float32
            Variance of every SR pixel, e². Noise and its mirror image are treated as
            independent, so pixels within about one PSF of a lateral border are off by up to the
            correlation of the two; in z it is accounted for (:mod:`.axial_border`). In volumes
            small parts of the kernels are left out (:mod:`.propagate`): 0.2 % of the variance.
        """
        variance_e2 = self._check(variance_e2, self.frames_shape, "Variances")
        total = self._half()
        for number, parts in enumerate(self._groups):
            frames = variance_e2[self.bands[parts[0].index].frames, ...]
            carriers = [self._demodulation[p.index] for p in parts]
            for moment in self._moments.of(number, parts, partial(self._filters, parts)):
                source = self._padding.spectrum(moment.source(parts, carriers, frames))
                moment.block.add_hermitian(total, moment.values, source)
        image = self._sr_padding.crop(self._field(total)) * 0.5
        return image if self._axes == 2 else image * self._real(self._border.factor(variance_e2))

    def signal_power(self, frames: Array) -> SignalPower:
        """Fit the object's radial power spectrum to `frames` (see :mod:`.spectrum`)."""
        rings = self.power_rings()
        self.add_power(rings, frames)
        return rings.fit()

    def power_rings(self) -> PowerRings:
        """Empty rings for :meth:`add_power`."""
        largest = float(self._analysis.precision.max())
        return PowerRings(frequency_step(self._padded_sr), largest)

    def add_power(self, rings: PowerRings, frames: Array) -> None:
        """Add the power of `frames` to rings, as :meth:`signal_power` fits it."""
        frames = self._check(frames, self.frames_shape, "Frames")
        xp = namespace(frames)
        total = self._half()
        # the band matched filter conj(aH)/N is the analysis filter, not the Wiener one
        for part in self._parts:
            band = self.bands[part.index]
            scale = self.zoom**2 / band.noise_e2 / (2 if band.order == 0 else 1)
            matched = xp.conj(self._transfer(part)) * scale
            block = self._analysis.blocks[part.index]
            block.add_hermitian(total, matched, self._band_spectrum(frames, part))
        for index, kz, ky, kx in half_planes(self._padded_sr):
            seen = np.abs(to_numpy(total[(*index, ...)])).astype(np.float64)
            power = seen**2 / np.prod(self._padding.padded)
            rings.add(power, self._analysis.precision[index], modulus(kz, ky, kx))

    # -- effective optics --------------------------------------------------------------------

    @property
    def padded_sr_grid(self) -> AnyGrid:
        """Grid of :meth:`effective_otf`: the extended SR field (position of pixel 0 unused)."""
        return self._padded_sr

    def band_precision(self) -> np.ndarray:
        """``Σ |a H|²/N`` over all bands: host float64, FFT order, on `padded_sr_grid`, 1/e²."""
        return even_full(self._analysis.precision, self._padded_sr.shape)

    def effective_otf(self) -> np.ndarray:
        """T(k) with ``E[Ŝ] = T ⊛ S``: host float64, FFT order, on `padded_sr_grid`; T(0) = 1.

        Of light that is modulated, i.e. in focus, also with attenuation.
        """
        return even_full(self._synthesis.effective_otf, self._padded_sr.shape)

    @property
    def unmodulated_response(self) -> float:
        """What is left of uniform light that is not modulated: about 1 without attenuation."""
        return self._synthesis.unmodulated

    def effective_psf(self, shape: tuple[int, ...] | None = None) -> np.ndarray:
        """Effective point-spread function: anisotropic in general, exact.

        Cropped to `shape`, (Y, X) or (Z, Y, X); default all of the padded SR grid. float32, centred
        on pixel N//2 of all axes; the uncropped array sums to 1.
        """
        psf = np.fft.fftshift(irfftn(self._synthesis.effective_otf, self._padded_sr.shape))
        if shape is not None:
            psf = centred_crop(psf, shape)
        return np.asarray(psf, dtype=np.float32)

"""What a zero-shot training consists of, built from one measurement and the settings."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import get_args

import numpy as np
import torch

from simrecon.errors import UsageError
from simrecon.result import Progress, no_progress
from zsdeconv import losses, symmetry
from zsdeconv.bank import Bank, make_bank
from zsdeconv.bridge import select_precision, to_host
from zsdeconv.companion import Companion
from zsdeconv.config import PlaneNetwork, VolumeNetwork, ZsSettings, field_factor
from zsdeconv.data import PatchSampler, Resimulation
from zsdeconv.fingerprint import Fingerprint
from zsdeconv.infer import per_axis
from zsdeconv.interleaved import make_halves
from zsdeconv.measurement import Measurement, Padding
from zsdeconv.models import Network, build_network, fastest_layout
from zsdeconv.optimiser import Optimiser
from zsdeconv.pairs_realigned import make_quarters
from zsdeconv.pairs_time import MovieSampler, require_movie
from zsdeconv.parts import PartsSampler
from zsdeconv.plan import Plan, planned
from zsdeconv.psf_layer import PsfLayer
from zsdeconv.stacking import Stacking
from zsdeconv.world import World, join


@dataclass(frozen=True)
class General:
    """A trained model from which another training starts.

    Attributes
    ----------
    weights : mapping of str to tensor
    scale : float
        Its intensity scale, e.
    start_iterations : int
        Of its classical start.
    """

    weights: Mapping[str, torch.Tensor]
    scale: float
    start_iterations: int


@dataclass
class Training:
    """A run: network, its running mean, optimiser, generator and counters.

    Attributes
    ----------
    network, mean
        The trained network and the exponential mean of its weights (the one that is used).
    measurement, bank
        Data; of several pictures, the one that the rest is judged by.
    others
        The other pictures of a set.
    precision
        In which the networks compute while training; weights and results are float32.
    iteration, elapsed_s
        Progress so far, earlier runs of a resumed training included.
    history
        (iteration, data term, re-simulation term) now and then.
    plan
        Expected cost; from the measured time of the first steps as soon as there is one.
    stacking
        How the trained network's two pictures are combined; None: not (yet).
    companion
        How sparse deconvolution takes part in the result; None: not (yet).
    looks
        (iteration, error at the withheld pixels) now and then.
    best
        The mean weights with the least of these errors.
    world
        The processes that train together.
    """

    settings: ZsSettings
    measurement: Measurement
    bank: Bank
    network: Network
    mean: Network
    optimiser: Optimiser
    precision: torch.dtype
    sampler: PatchSampler
    term: losses.DataTerm
    psf: PsfLayer
    fingerprint: Fingerprint
    plan: Plan
    iteration: int = 0
    elapsed_s: float = 0.0
    history: list[tuple[int, float, float]] = field(default_factory=list)
    resimulations: list[Resimulation] = field(default_factory=list)
    others: tuple[tuple[Measurement, Bank], ...] = ()
    stacking: Stacking | None = None
    companion: Companion | None = None
    looks: list[tuple[int, float]] = field(default_factory=list)
    best: dict[str, torch.Tensor] | None = None
    world: World = field(default_factory=World)

    @property
    def fraction(self) -> float:
        """How much of the schedule is over, 0…1, by steps or by time, whichever is further."""
        by_steps = self.iteration / self.settings.iterations if self.settings.iterations else 0.0
        limit = self.settings.time_limit_s
        by_time = self.elapsed_s / limit if limit else 0.0
        return min(1.0, max(by_steps, by_time))


def patch_shape(
    settings: ZsSettings, zoom: int, multiples: Sequence[int]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The patch per axis, rounded down to what network and zoom allow, and that unit."""
    planes = len(multiples) - 2
    units = tuple(
        m if axis < planes else int(np.lcm(m, 2 * zoom)) for axis, m in enumerate(multiples)
    )
    wanted = (settings.patch_planes,) * (len(units) - 2) + (settings.patch, settings.patch)
    return tuple(max(u, w // u * u) for u, w in zip(units, wanted, strict=True)), units


def bank_size(settings: ZsSettings, measurement: Measurement) -> int:
    """Draws kept: large fields hold more patches, so fewer draws say as much."""
    factor = field_factor(int(np.prod(measurement.image_shape)))
    return min(settings.bank, max(4, round(settings.bank / factor)))


def prepare(
    measurement: Measurement,
    settings: ZsSettings,
    device: torch.device,
    progress: Progress = no_progress,
    *,
    others: Sequence[Measurement] = (),
    general: General | None = None,
) -> Training:
    """Build network, noise banks and optimiser; everything random follows from the seed.

    Processes of torchrun share everything but the patches that they draw.

    Parameters
    ----------
    measurement, others
        The picture, or the pictures of a set: they share one network and one intensity scale. Of
        SIM frames each has its own pattern; losses other than "raw" take the PSF of the first.
    general
        Model to start from; None: a fresh network.
    """
    world = join(device)
    torch.manual_seed(settings.seed)
    network = _placed(settings, device, general)
    mean = copy.deepcopy(network)
    frame_shape = measurement.frames_e.shape[1:]
    require_axes(settings, len(frame_shape))
    require_pairs(settings, measurement, others)
    multiples = per_axis(network.multiple, len(frame_shape))
    sampler, rest = _sampler(measurement, others, settings, general, multiples, device, progress)
    bank = sampler.bank
    if not world.first:
        sampler.rng = own_patches(settings.seed, world)
    psf = PsfLayer(measurement.effective_psf)
    return Training(
        settings=settings,
        measurement=measurement,
        bank=bank,
        network=network,
        mean=mean,
        optimiser=Optimiser(network, orthogonal=settings.inner_lr > 0),
        precision=select_precision(settings.precision, device),
        sampler=sampler,
        term=_data_term((measurement, *others), settings, bank, psf),
        psf=psf,
        fingerprint=Fingerprint.of((measurement, *others), general.weights if general else None),
        plan=planned(
            settings, len(measurement.frames_e), frame_shape, measurement.zoom, 1 + len(others)
        ),
        others=tuple(zip(others, rest, strict=True)),
        world=world,
    )


def own_patches(seed: int, world: World, iteration: int = 0) -> np.random.Generator:
    """What a process other than the first draws its patches with, from an iteration on."""
    return np.random.default_rng([seed, world.rank, iteration])


def _placed(settings: ZsSettings, device: torch.device, general: General | None) -> Network:
    """The network on its device."""
    network = build_network(settings).to(device)
    if general is not None:
        network.load_state_dict(dict(general.weights))
    return fastest_layout(network)


def _sampler(
    measurement: Measurement,
    others: Sequence[Measurement],
    settings: ZsSettings,
    general: General | None,
    multiples: Sequence[int],
    device: torch.device,
    progress: Progress,
) -> tuple[PatchSampler, list[Bank]]:
    """What patches are cut from, and the banks of the other pictures."""
    patch, units = patch_shape(settings, measurement.zoom, multiples)
    lateral = (*(0,) * (len(patch) - 2), *patch[-2:])  # thin volumes are not made thicker

    def around(one: Measurement) -> Padding:
        return Padding.around(one.frames_e.shape[1:], one.zoom, units, lateral, one.margins)

    padding = around(measurement)
    patch = tuple(min(p, n) for p, n in zip(patch, padding.image_shape, strict=True))
    noise_rng, patch_rng = (
        np.random.default_rng(s) for s in np.random.SeedSequence(settings.seed).spawn(2)
    )
    for one in (measurement, *others):
        field_ = padding if one is measurement else around(one)
        one.forward.prepare(field_.origin, field_.image_shape)
    if settings.pairs in ("interleaved", "realigned"):
        make = make_halves if settings.pairs == "interleaved" else make_quarters
        parts = make(measurement, padding, device)
        operations = symmetry.allowed(measurement.effective_psf)
        return PartsSampler(parts, patch, settings.batch, operations, patch_rng), []
    draws = bank_size(settings, measurement)
    fixed = None if general is None else general.start_iterations
    of_picture = measurement.source == "image" and settings.loss == "raw"
    bank = make_bank(measurement, padding, draws, settings.alpha, noise_rng, device, progress,
                     fixed, settings.withheld if of_picture else 0.0)  # fmt: skip
    rest = [
        make_bank(one, around(one), max(2, draws // 2), settings.alpha, noise_rng, device, progress,
                  bank.classical.iterations)
        for one in others
    ]  # fmt: skip
    scale = max(b.scale for b in (bank, *rest)) if general is None else general.scale
    bank, *rest = (replace(b, scale=scale) for b in (bank, *rest))
    of_volume = measurement.dz_um is not None
    operations = symmetry.allowed(measurement.effective_psf if of_volume else noise_spectrum(bank))
    kind = MovieSampler if settings.pairs == "temporal" else PatchSampler
    return kind(bank, patch, settings.batch, operations, patch_rng, rest), rest


def require_axes(settings: ZsSettings, axes: int) -> None:
    """Refuse networks and losses of planes for volumes, and networks of volumes for planes.

    Raises
    ------
    UsageError
    """
    if settings.of_volumes != (axes == 3):
        kind = "volumes" if axes == 3 else "planes"
        raise UsageError(
            f"The network '{settings.network}' is not one of {kind}.",
            expected=", ".join(get_args(VolumeNetwork if axes == 3 else PlaneNetwork)),
            got=settings.network,
            where="zsdeconv.network",
        )
    if axes == 3 and settings.loss == "whitened":
        raise UsageError(
            "The whitened loss is one of planes.", expected="raw, variance or l2",
            got=settings.loss, where="zsdeconv.loss",
        )  # fmt: skip


def require_pairs(
    settings: ZsSettings, measurement: Measurement, others: Sequence[Measurement] = ()
) -> None:
    """Refuse interleaved planes of all but plain volumes, realigned pixels of all but SIM
    pictures, and neighbours in time of all but movies.

    Raises
    ------
    UsageError
    """
    pairs, axes = settings.pairs, measurement.frames_e.ndim - 1
    if pairs == "temporal":
        require_movie(measurement, others)
    if pairs == "interleaved" and (axes != 3 or measurement.source != "volume"):
        raise UsageError(
            "Interleaved halves are made of a plain volume.",
            expected="recorrupted",
            got="SIM frames" if measurement.source == "sim" else "a picture of one plane",
            where="pairs",
        )
    if pairs == "realigned" and (axes != 2 or measurement.source != "sim"):
        raise UsageError(
            "Pixel-realigned pairs are made of the raw SIM frames of one plane.",
            expected="recorrupted",
            got=f"a {'volume' if axes == 3 else 'plain picture'}",
            where="pairs",
        )
    if others and pairs in ("interleaved", "realigned"):
        raise UsageError(
            "Pairs within one acquisition are made of one acquisition.",
            expected="no others, or pairs='recorrupted'", got=f"{len(others)} others, {pairs}",
            where="others",
        )  # fmt: skip
    if pairs == "realigned" and settings.loss == "whitened":
        raise UsageError(
            "The whitened loss needs draws of the noise, which realigned pairs do without.",
            expected="raw, variance or l2", got=settings.loss, where="loss",
        )  # fmt: skip


def noise_spectrum(bank: Bank, size: int = 63) -> np.ndarray:
    """Mean power spectrum of the image's noise, (size, size), centred."""
    power = np.zeros((size, size))
    for field_ in to_host(bank.noise):
        for y in range(0, field_.shape[0] - size + 1, size):
            for x in range(0, field_.shape[1] - size + 1, size):
                power += np.abs(np.fft.fft2(field_[y : y + size, x : x + size])) ** 2
    return np.asarray(np.fft.fftshift(power))


def _data_term(
    measurements: Sequence[Measurement], settings: ZsSettings, bank: Bank, psf: PsfLayer
) -> losses.DataTerm:
    measurement = measurements[0]
    if settings.loss == "raw":
        own = measurements if measurement.source == "sim" else [measurement]  # patterns move
        return losses.RawLikelihood([m.forward for m in own], measurement.zoom)
    kernel = None
    if settings.loss == "whitened":
        noise = to_host(bank.noise)
        kernel = losses.whitening_kernel(noise, measurement.effective_psf, 63)
    return losses.ImageResidual(psf, settings.loss, kernel)

"""The one sequence that the command line and the API call: measurement → training → Enhanced."""

from __future__ import annotations

import time as clock
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from simrecon.config import ReconstructionSettings, Settings
from simrecon.errors import UsageError
from simrecon.model.camera import Camera
from simrecon.model.mode import VOLUME_MODES
from simrecon.model.pattern import PatternFit, Verdict, worst
from simrecon.model.psf import AnyOTF
from simrecon.model.stack import SimStack
from simrecon.pipeline import reconstruct
from simrecon.provenance import peak_memory_gb, record
from simrecon.result import Progress, Result, no_progress
from zsdeconv import checkpoint, companion, early_stop, qc
from zsdeconv.bridge import select_device, torch_device
from zsdeconv.config import VOLUME_DEFAULTS, ZsSettings
from zsdeconv.consistency import flux_factor, raw_consistency
from zsdeconv.deterministic import deterministic
from zsdeconv.held_out import HeldOut, Restore, compare
from zsdeconv.interrupt import trained
from zsdeconv.measurement import Measurement
from zsdeconv.models import parameter_count
from zsdeconv.pairs_image import camera_measurement, checked
from zsdeconv.pairs_sim import sim_measurement
from zsdeconv.pairs_sim_volume import check_volume, sim_volume_measurement
from zsdeconv.probes import probe
from zsdeconv.psf_checks import centred_psf
from zsdeconv.restore import by_network, by_start, restored, stack
from zsdeconv.selection import select_acquisition
from zsdeconv.train import fit
from zsdeconv.training import General, Training, prepare, require_axes
from zsdeconv.training_state import restore_state
from zsdeconv.uncertainty import contents, estimated_uncertainty
from zsdeconv.world import left_on_error


@dataclass(frozen=True)
class Enhanced:
    """A denoised and sharpened picture with the reasons to trust it or not.

    All pictures are float32 photo-electrons per raw pixel area.

    Attributes
    ----------
    image, image_variance : ndarray (Y, X)
        The SIM image (or the given one) and its propagated variance (or None). The network
        sees the same frames reconstructed with less regularisation.
    denoised : ndarray (Y, X)
        The image without its noise, at its own resolution (stage 1).
    deconvolved : ndarray (Y, X)
        The object through an ideal microscope of `shown_cutoff` times the linear cut-off, not
        negative.
    objects : ndarray (Y, X)
        The object estimate itself, with the flux of the raw frames: what explains them. Finer,
        noisier, and somewhat negative beside fine detail.
    uncertainty : ndarray or None
        Standard error of `deconvolved` (see :mod:`zsdeconv.uncertainty`).
    consistency : ndarray (y, x)
        χ² map on the raw grid (see :mod:`zsdeconv.consistency`).
    pixel_um, raw_pixel_um : float
        Pitch of the pictures and of `consistency`.
    verdicts, qc, provenance : mapping
        Gates, JSON-ready numbers, and what made the result.
    model : mapping of str to tensor
        Weights for inference.
    model_facts : mapping
        What is needed to use them.
    reconstruction : Result or None
        The engine's result when raw SIM frames were given.
    dz_um : float or None
        Distance of the planes of a volume; all pictures then have a Z before Y.
    """

    image: np.ndarray
    image_variance: np.ndarray | None
    denoised: np.ndarray
    deconvolved: np.ndarray
    objects: np.ndarray
    uncertainty: np.ndarray | None
    consistency: np.ndarray
    pixel_um: float
    raw_pixel_um: float
    verdicts: Mapping[str, Verdict]
    qc: Mapping[str, Any]
    provenance: Mapping[str, Any]
    model: Mapping[str, torch.Tensor]
    model_facts: Mapping[str, Any]
    reconstruction: Result | None = None
    dz_um: float | None = None

    @property
    def passed(self) -> bool:
        """True when every quality gate was passed."""
        return self.verdicts["overall"] == "ok"


def enhance(
    data: SimStack | Measurement | np.ndarray,
    settings: ZsSettings | None = None,
    *,
    engine: Settings | None = None,
    otf: AnyOTF | None = None,
    pattern: PatternFit | Sequence[PatternFit] | None = None,
    time: int | None = None,
    channel: int | None = None,
    plane: int | None = None,
    psf: np.ndarray | None = None,
    pixel_um: float | None = None,
    camera: Camera | None = None,
    others: Sequence[Measurement] = (),
    general: General | None = None,
    folder: Path | None = None,
    resume: bool = False,
    progress: Progress | None = None,
) -> Enhanced:
    """Train on one acquisition and enhance it.

    Parameters
    ----------
    data : SimStack, ndarray (Y, X) or Measurement
        Raw SIM frames, a plain camera picture in counts, or any measurement, for example
        :func:`zsdeconv.pairs_image.image_measurement` (known variance instead of a camera).
    settings : ZsSettings, optional
    engine, otf, pattern
        For raw SIM frames: see :func:`simrecon.pipeline.reconstruct`. Without `engine`, the
        reconstruction runs on the device of `settings`.
    time, channel, plane
        For raw SIM frames: which acquisition, from 0; needed where there are several. The planes
        of a volume (modes 3d and lls of `engine`) belong together.
    psf, pixel_um, camera
        For a plain picture, all needed: its PSF on its own grid (centred on n//2), pixel in µm,
        and :class:`simrecon.model.camera.Camera` (gain, offset, read noise).
    others
        For a measurement: more of the same kind, to train on too. With
        pairs in time: of the same movie, in order, `data` being the one at (1 + their number) // 2.
    general
        Model to start from, instead of a fresh network.
    folder : Path, optional
        Where training states are kept; None: nowhere.
    resume : bool
        Continue from the state in `folder`.
    progress : callable, optional
        See :class:`simrecon.result.Progress`.

    Raises
    ------
    UsageError
        For several time points, channels or planes of which none is named, or a picture whose
        PSF, pixel or camera is missing.
    InputError
        When there is nothing to resume.
    QualityError
        When the pattern fit failed.
    SystemExit
        In all processes of torchrun but the first, after the training.
    """
    chosen = engine or Settings(
        reconstruction=ReconstructionSettings(device=settings.device if settings else "auto")
    )
    volume = isinstance(data, SimStack) and chosen.reconstruction.mode in VOLUME_MODES
    settings = settings or ZsSettings(**(VOLUME_DEFAULTS if volume else {}))
    say = progress or no_progress
    device = select_device(settings.device)
    place = torch_device(device)
    started = clock.perf_counter()
    result: Result | None = None
    if resume:
        if folder is None:
            raise UsageError("There is nothing to resume without a folder.", where="resume")
        checkpoint.require_state(folder)
    if isinstance(data, SimStack):
        stack = select_acquisition(data, time=time, channel=channel, plane=plane, volume=volume)
        result, measurement = reconstructed(
            stack, settings, chosen, otf=otf, pattern=pattern, progress=say
        )
    elif isinstance(data, Measurement):
        measurement = data
    else:
        measurement = _image(data, psf, pixel_um, camera)
    with deterministic(settings.deterministic), left_on_error():
        run = prepare(measurement, settings, place, say, others=others, general=general)
        if resume and folder is not None:
            restore_state(run, folder)
        fit(run, folder, say)
        run.world.leave()
    if not run.world.first:
        raise SystemExit(0)
    made = record(
        settings=settings.model_dump(mode="json"),
        device=f"{device.label}: {device.reason}",
        seed=settings.seed,
        extra_packages=("torch", "safetensors"),
        method="zero-shot denoising and deconvolution",
        iterations=run.iteration,
        training_s=round(run.elapsed_s, 2),
        parameters=parameter_count(run.network),
        reconstruction=None if result is None else dict(result.provenance),
    )
    with deterministic(settings.deterministic), trained(folder):
        return _assemble(run, result, made, started, say)


def reconstructed(
    stack: SimStack,
    settings: ZsSettings,
    engine: Settings,
    *,
    otf: AnyOTF | None = None,
    pattern: PatternFit | Sequence[PatternFit] | None = None,
    progress: Progress = no_progress,
) -> tuple[Result, Measurement]:
    """The engine's picture of one acquisition, and the acquisition as a measurement.

    Raises
    ------
    UsageError, QualityError
        See :func:`enhance`.
    """
    volume = engine.reconstruction.mode in VOLUME_MODES
    _check_sim(stack, settings, engine, volume)
    result = reconstruct(stack, engine, otf=otf, pattern=pattern, progress=progress)
    measurement = (sim_volume_measurement if volume else sim_measurement)(
        stack,
        result,
        engine,
        input_regularization=settings.input_regularization,
        shown_cutoff=settings.shown_cutoff,
        device=torch_device(select_device(settings.device)),
    )
    return result, measurement


def _check_sim(stack: SimStack, settings: ZsSettings, engine: Settings, volume: bool) -> None:
    """Refuse what cannot be trained on, before anything is computed."""
    if not engine.reconstruction.linear:
        raise UsageError(
            "Training needs the linear reconstruction.",
            expected="wiener",
            got=engine.reconstruction.method,
            where="method",
        )
    require_axes(settings, 3 if volume else 2)
    if volume:
        check_volume(stack, engine)


def linear_picture(
    result: Result, measurement: Measurement
) -> tuple[np.ndarray, np.ndarray | None]:
    """The engine's picture, or volume, and its variance."""
    only = (0, 0) if measurement.dz_um is not None else (0, 0, 0)
    return result.image[only], None if result.variance is None else result.variance[only]


def _image(
    image: np.ndarray, psf: np.ndarray | None, pixel_um: float | None, camera: Camera | None
) -> Measurement:
    """A plain picture as a measurement, when everything about it is known."""
    given = {"psf": psf, "pixel_um": pixel_um, "camera": camera}
    missing = [name for name, value in given.items() if value is None]
    if psf is None or pixel_um is None or camera is None:
        raise UsageError(
            "A plain image needs its PSF, pixel and camera.",
            expected="enhance(image, psf=…, pixel_um=…, camera=Camera(gain, offset, read_noise_e))",
            got=f"no {', no '.join(missing)}",
            hint="for an image in photo-electrons: camera=Camera(); raw SIM frames: a SimStack",
        )
    return camera_measurement(checked(np.asarray(image)), centred_psf(psf, 2), pixel_um, camera)


def _methods(run: Training, factor: float) -> tuple[Restore, Restore]:
    """``frames → object`` of the network and of its classical start, times the factor."""

    def network(frames_e: np.ndarray) -> np.ndarray:
        return factor * by_network(run, frames_e)[1]

    def start(frames_e: np.ndarray) -> np.ndarray:
        return factor * by_start(run, frames_e)

    return network, start


def _better(
    run: Training, network: Restore, start: Restore, rng: np.random.Generator
) -> HeldOut | None:
    """Whether network or start predicts unseen copies better; None where that is not asked."""
    if run.settings.held_out_draws == 0:
        return None
    return compare(run.measurement, network, start, run.settings.held_out_draws, rng)


def _model_facts(
    run: Training, factor: float, start_only: bool, made: dict[str, Any]
) -> dict[str, Any]:
    """What must be known to use the model again, JSON-ready."""
    s, m = run.settings, run.measurement
    cutoff_px = m.image_cutoff_px
    return {
        "kind": m.source,
        "operations": list(run.sampler.operations),
        "pictures": 1 + len(run.others),
        "settings": s.model_dump(mode="json"),
        "scale": run.bank.scale,
        "flux_factor": factor,
        "stacking": None if run.stacking is None else run.stacking.weights.tolist(),
        "companion": None if run.companion is None else asdict(run.companion),
        "start_iterations": run.bank.classical.iterations,
        "start_only": start_only,
        "image_cutoff_px": list(cutoff_px) if isinstance(cutoff_px, tuple) else cutoff_px,
        "pixel_um": m.pixel_um / m.zoom,
        "dz_um": m.dz_um,
        "iterations": run.iteration,
        "training_s": run.elapsed_s,
        "parameters": made["parameters"],
        "data": run.fingerprint.frames,
        "versions": made["versions"],
    }


def _assemble(
    run: Training,
    result: Result | None,
    made: dict[str, Any],
    started: float,
    progress: Progress,
) -> Enhanced:
    """Final pictures, flux, uncertainty, consistency, verdicts."""
    s, m = run.settings, run.measurement
    rng = np.random.default_rng(np.random.SeedSequence(s.seed).spawn(3)[2])
    stack(run, rng)
    denoised, objects = restored(run, rng)
    network, start = _methods(run, 1.0)
    held_out = _better(run, network, start, rng)
    collapsed = held_out is not None and held_out.worse
    if collapsed:
        objects = start(m.frames_e)
    factor = flux_factor(m, objects)
    objects = (factor * objects).astype(np.float32)
    network, start = _methods(run, factor)
    uncertainty = None
    if s.uncertainty_draws > 0:
        method = start if collapsed else network
        uncertainty = estimated_uncertainty(m, objects, method, s.uncertainty_draws, rng, progress)
    consistency = raw_consistency(m, objects)
    probes = None
    if s.probes and m.dz_um is None and not collapsed:
        probes = probe(m, objects, network, start, rng)
    verdicts = qc.judge(consistency, 1.0 / factor, held_out, m.doubts, m.fitted, probes)
    shown = m.shown(objects)
    if run.companion is not None and not collapsed:
        shown = run.companion(m, shown)
    deconvolved, denoised, objects = (m.inside(picture) for picture in (shown, denoised, objects))
    uncertainty = None if uncertainty is None else m.inside(uncertainty)
    found = qc.numbers(consistency, 1.0 / factor, objects, uncertainty, held_out, probes)
    report: dict[str, Any] = {
        "enhancement": found, "history": run.history[-200:], "looks": run.looks,
    }  # fmt: skip
    if uncertainty is not None:
        report["uncertainty"] = contents(m, s.uncertainty_draws)
    if result is not None:
        verdicts = {f"sim_{k}": v for k, v in result.verdicts.items() if k != "overall"} | verdicts
        verdicts["overall"] = worst([verdicts["overall"], result.verdicts["overall"]])
        report["reconstruction"] = dict(result.qc)
    report |= {
        "plan": run.plan.to_dict(),
        "schema": "zsdeconv/qc/1",
        "verdicts": verdicts,
        "reasons": [
            *m.doubts,
            *early_stop.sentences(run),
            *companion.sentences(None if collapsed else run.companion),
            *qc.sentences(found, verdicts, () if result is None else result.qc["reasons"]),
        ],
        "total_s": round(clock.perf_counter() - started, 2),
        "peak_memory_gb": round(peak_memory_gb(), 3),
    }
    image, variance = (m.image, m.image_variance) if result is None else linear_picture(result, m)
    return Enhanced(
        image=image,
        image_variance=variance,
        denoised=denoised.astype(np.float32),
        deconvolved=deconvolved,
        objects=objects,
        uncertainty=uncertainty,
        consistency=consistency.chi2_map,
        pixel_um=m.pixel_um / m.zoom,
        raw_pixel_um=m.pixel_um,
        verdicts=verdicts,
        qc=report,
        provenance=made,
        model={k: v.detach().cpu() for k, v in run.mean.state_dict().items()},
        model_facts=_model_facts(run, factor, collapsed, made),
        reconstruction=result,
        dz_um=m.dz_um,
    )


def save_model(enhanced: Enhanced, folder: Path) -> None:
    """Write the model of an enhancement (``model.safetensors``, ``model.json``)."""
    checkpoint.write_model(folder, enhanced.model, enhanced.model_facts)

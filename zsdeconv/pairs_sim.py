"""Raw SIM frames of a plane as a measurement.

The lift is the frozen operator L of the reconstruction, so that noise draws and frames go
through exactly the same linear map (physics.md §3 and §6).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from simrecon.backend import like, to_numpy
from simrecon.config import Settings
from simrecon.errors import QualityError, UsageError
from simrecon.model.pattern import PatternFit
from simrecon.model.stack import SimStack
from simrecon.physics.otf import evaluate_otf, ideal_otf
from simrecon.preparation import Acquisition, acquisition, prepare_channel
from simrecon.recon.operator import Reconstructor
from simrecon.result import Result
from zsdeconv.measurement import Measurement
from zsdeconv.sim_forward import Illumination, SimForward


def illuminations(pattern: PatternFit) -> list[Illumination]:
    """Patterns of all frames, direction by direction.

    Raises
    ------
    UsageError
        For directions that light the same frames.
    """
    if pattern.simultaneous:
        raise UsageError(
            "Frames with simultaneous carriers are not enhanced.",
            expected="one direction per frame (modes 2d, tirf, slice3, nonlinear)",
            got="a pattern with simultaneous directions (mode hex)",
            hint="'simrecon reconstruct --mode hex' makes the linear picture",
        )
    return [
        Illumination(
            d.frequency_per_um,
            phase,
            d.modulation,
            intensity,
            drift,
            None if d.local is None else d.local.at,
        )
        for d in pattern.directions
        for phase, intensity, drift in zip(
            d.phase_rad,
            d.intensity,
            d.drift_um or ((0.0, 0.0),) * len(d.phase_rad),
            strict=True,
        )
    ]


def sim_forward(operator: Reconstructor, device: torch.device | str = "cpu") -> SimForward:
    """The operator's forward model, differentiable and on patches."""
    otf = operator.otf
    return SimForward(
        illuminations(operator.pattern),
        lambda ky, kx: evaluate_otf(otf, ky, kx),
        otf.cutoff_per_um,
        operator.grid.pixel_um,
        operator.zoom,
        device,
    )


def regularized(operator: Reconstructor, factor: float) -> Reconstructor:
    """The same operator with Γ multiplied by `factor`."""
    old = operator.regularization
    assert old is not None
    if old.wiener_constant is not None:
        return operator.regularized(replace(old, wiener_constant=old.wiener_constant * factor**0.5))
    return operator.regularized(replace(old, factor=old.factor * factor))


def frozen_operator(result: Result, shape: tuple[int, ...], time: int, channel: int) -> Any:
    """The operator that made a result, of frames (A, P, [Z,] Y, X).

    Raises
    ------
    QualityError
        When there is none because the pattern fit failed.
    UsageError
        When it is one of other frames.
    """
    operator = result.reconstructors[time][channel]
    if operator is None:
        raise QualityError(
            "There is no SIM reconstruction to enhance: the pattern fit failed.",
            hint="see the verdict of 'simrecon estimate', or give --pattern",
        )
    if tuple(operator.frames_shape) != shape:
        raise UsageError(
            "The reconstruction belongs to another stack.",
            expected=str(operator.frames_shape),
            got=str(shape),
        )
    return operator


def lift_by(operator: Reconstructor) -> Callable[[np.ndarray], np.ndarray]:
    """L of frames (A·P, [Z,] Y, X), float32 host arrays."""

    def lift(frames: np.ndarray) -> np.ndarray:
        block = frames.astype(np.float32, copy=False).reshape(operator.frames_shape)
        return to_numpy(operator.reconstruct(like(block, operator.reference)))

    return lift


def measured_frames(data: Acquisition, operator: Reconstructor) -> dict[str, Any]:
    """Frames, their noise, and what L makes of both: fields of a :class:`Measurement`."""
    shape = data.frames_e.shape
    variance = operator.variance(like(data.variance_e2, operator.reference))
    return {
        "frames_e": data.frames_e.reshape(-1, *shape[2:]),
        "variance_e2": data.variance_e2.reshape(-1, *shape[2:]),
        "noise": data.noise.map(lambda v: _by_frame(v, shape)),
        "lift": lift_by(operator),
        "zoom": operator.zoom,
        "pixel_um": operator.grid.pixel_um,
        "image_variance": to_numpy(variance),
        "shot_noise": True,
        "source": "sim",
    }


def _by_frame(values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Values that broadcast against frames (A, P, Y, X), as (A·P, Y, X)."""
    return np.broadcast_to(values, shape).reshape(-1, *shape[2:]).astype(np.float32)


def ideal_psf(cutoff_px: float, size: int) -> np.ndarray:
    """PSF of an ideal incoherent microscope, (size, size), centred on size//2, sum 1.

    `cutoff_px` in cycles per pixel; the diffraction image of a circular pupil is nowhere negative.
    """
    k = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None, :])
    psf = np.fft.irfft2(ideal_otf(k / cutoff_px), s=(size, size))
    return np.asarray(np.fft.fftshift(psf))


def sim_measurement(
    stack: SimStack,
    result: Result,
    settings: Settings,
    *,
    input_regularization: float = 1.0,
    shown_cutoff: float = 0.0,
    device: torch.device | str = "cpu",
    time: int = 0,
    channel: int = 0,
    plane: int = 0,
) -> Measurement:
    """One acquisition of a reconstructed stack as a measurement.

    Parameters
    ----------
    stack, settings
        What was reconstructed, and how.
    result
        What :func:`simrecon.pipeline.reconstruct` made of them.
    input_regularization
        Factor on the reconstruction's Γ for the image that the network sees. The MMSE choice
        (1) has damped what is noisier than it is bright; a network separates the two better
        itself and learns faster from a sharper, noisier image.
    shown_cutoff
        Cut-off of the ideal microscope through which objects are shown, over that of the linear
        picture; 0: as they are.
    device
        Where the forward model lives.
    time, channel, plane
        Which acquisition.

    Raises
    ------
    QualityError
        When there is no operator because the pattern fit failed.
    UsageError
        When result and stack do not belong together.
    """
    shape = (stack.directions, stack.phases, *stack.grid.shape)
    operator: Reconstructor = frozen_operator(result, shape, time, channel)
    psf = result.effective_psf[channel]
    if input_regularization != 1.0:
        operator = regularized(operator, input_regularization)
        psf = operator.effective_psf(psf.shape)
        psf = psf / psf.sum()
    prepared = prepare_channel(stack, channel, settings, operator.otf)
    data = acquisition(stack, prepared, time, plane)
    carriers = [np.hypot(*d.frequency_per_um) for d in operator.pattern.directions]
    cutoff_per_um = operator.otf.cutoff_per_um + float(max(carriers))
    cutoff_px = cutoff_per_um * operator.grid.pixel_um / operator.zoom
    return Measurement(
        **measured_frames(data, operator),
        forward=sim_forward(operator, device),
        effective_psf=psf,
        image_cutoff_px=cutoff_px,
        shown_psf=ideal_psf(shown_cutoff * cutoff_px, len(psf)) if shown_cutoff > 0 else None,
    )

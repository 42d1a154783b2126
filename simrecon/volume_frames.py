"""Volumes out of a stack: grid, frames in photo-electrons, and what volumes do not have."""

from __future__ import annotations

import numpy as np

from simrecon.config import Settings, SheetSettings
from simrecon.errors import InputError, MetadataError, UsageError
from simrecon.estimate.volume.stage_moves import way_vector
from simrecon.model.grid import VolumeGrid
from simrecon.model.stack import SimStack
from simrecon.preparation import Acquisition, Channel, acquisition

LEAST_PLANES = 3


def volume_grid(stack: SimStack, settings: Settings) -> VolumeGrid:
    """Grid of the volumes of a stack.

    Raises
    ------
    InputError
        For fewer than `LEAST_PLANES` planes.
    MetadataError
        Without plane distance.
    """
    planes = int(stack.data.shape[4])
    if planes < LEAST_PLANES:
        times = int(stack.data.shape[0])
        read = f"{stack.directions} × {stack.phases} frames"
        raise InputError(
            "This is not a volume.",
            expected=f"at least {LEAST_PLANES} planes",
            got=f"{planes} plane(s) of {read}" + (f", {times} time points" if times > 1 else ""),
            where=f"--mode {settings.reconstruction.mode}",
            hint="if the time points are planes, give --order with Z (PZA, PAZ), --angles and "
            "--phases ('simrecon inspect' shows what the frames say)"
            if times > 1
            else "15 frames of one plane are --mode slice3; was the order of the frames found "
            "right (simrecon inspect)?",
        )
    if stack.dz_um is None:
        raise MetadataError(
            "The distance between the planes is not known.",
            expected="µm, in the file or given",
            where="--dz-um",
        )
    shear = _shear(settings)
    return VolumeGrid((planes, *stack.grid.shape), stack.pixel_um, stack.dz_um, shear=shear)


def _shear(settings: Settings) -> tuple[float, float]:
    """Travel (y, x) of the field per µm of z where the stage moves at an angle."""
    sheet = settings.sheet
    if settings.reconstruction.mode != "lls" or sheet.scan == "objective":
        return 0.0, 0.0
    if sheet.stage_angle_deg is None:
        raise MetadataError(
            "The angle of the stage's way is not known.",
            expected="degrees between it and the focal plane of detection",
            where="--stage-angle-deg",
            hint="32.45 on many instruments; z counts along the detection axis: "
            "--dz-um is the step of the stage times the sine of this angle",
        )
    travel = 1.0 / np.tan(np.radians(sheet.stage_angle_deg))
    y, x = way_vector(sheet.stage_moves)  # of structures: the field goes the other way
    return float(0.0 - travel * y), float(0.0 - travel * x)


def volume_acquisition(stack: SimStack, channel: Channel, time: int) -> Acquisition:
    """All planes of a time point in photo-electrons: frames (A, P, Z, Y, X), with variance."""
    planes = [acquisition(stack, channel, time, z) for z in range(int(stack.data.shape[4]))]
    frames = np.stack([one.frames_e for one in planes], axis=2)
    variance = np.stack([one.variance_e2 for one in planes], axis=2)
    return Acquisition(frames, variance, planes[0].noise)


def mean_volume(stack: SimStack, channel: Channel) -> Acquisition:
    """Mean over all times, with the variance of that mean: what ``share_pattern`` fits."""
    times = int(stack.data.shape[0])
    mean = volume_acquisition(stack, channel, 0)
    for t in range(1, times):
        one = volume_acquisition(stack, channel, t)
        frames, variance = mean.frames_e + one.frames_e, mean.variance_e2 + one.variance_e2
        mean = Acquisition(frames, variance, mean.noise)
    n = np.float32(times)
    return Acquisition(mean.frames_e / n, mean.variance_e2 / n**2, mean.noise.averaged(times))


def check_settings(settings: Settings) -> None:
    """Refuse what volumes do not have, instead of leaving it out in silence.

    Raises
    ------
    UsageError
        Naming the setting.
    """
    chosen, fit = settings.reconstruction, settings.estimate
    for wrong, got, expected, where, hint in (
        (not chosen.linear, chosen.method, "wiener", "--method", None),
        (chosen.attenuation != "off", chosen.attenuation, "off", "--attenuation",
         "in a volume light from other depths has its own place"),
        (fit.local == "on", fit.local, "auto or off", "--local", None),
        (fit.share_channels, fit.share_channels, "false", "estimate.share_channels", None),
        (chosen.on_fit_failure == "preset", "preset", "stop or widefield", "--on-fit-failure",
         "give --pattern with frequencies only"),
    ):  # fmt: skip
        if wrong:
            raise UsageError(
                f"{where} is not there for volumes: they have the linear operator, one pattern "
                "for the whole field, and channels of their own.",
                expected=expected, got=str(got), where=where, hint=hint,
            )  # fmt: skip


def check_sheet(settings: Settings) -> None:
    """Refuse settings of a light sheet that would have no effect.

    Raises
    ------
    UsageError
        Naming the first of them.
    """
    sheet, usual = settings.sheet, SheetSettings()
    mode = settings.reconstruction.mode
    given = [n for n in SheetSettings.model_fields if getattr(sheet, n) != getattr(usual, n)]
    if mode != "lls" and given:
        raise UsageError(
            "Only --mode lls has a light sheet.",
            expected="--mode lls, or no settings of a sheet",
            got=f"--mode {mode}",
            where="--" + given[0].replace("_", "-"),
        )
    of_stage = [name for name in given if name.startswith("stage_")]
    if of_stage and sheet.scan != "stage":
        raise UsageError(
            "The stage has no effect on an objective scan.",
            expected="--scan stage, or neither its angle nor its way",
            got=f"--scan {sheet.scan}",
            where="--" + of_stage[0].replace("_", "-"),
        )

"""Settings of a zero-shot enhancement: frozen, complete, unknown keys refused."""

from __future__ import annotations

import difflib
import re
from typing import Any, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from simrecon.errors import UsageError

LossKind = Literal["raw", "whitened", "variance", "l2"]
PlaneNetwork = Literal["compact", "unet_paper", "dfcan", "rln"]
VolumeNetwork = Literal["compact3d", "rcan3d", "unet3d", "rln3d"]
PairKind = Literal["recorrupted", "interleaved", "realigned", "temporal"]
Precision = Literal["auto", "float32", "bfloat16"]


class ZsSettings(BaseModel):
    """How to train on one image and what to make of it.

    Weights of the priors are per super-resolution pixel, relative to the mean noise standard
    deviation of the image that the network sees, so that one value serves all light levels.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    network: PlaneNetwork | VolumeNetwork = Field(default="compact", description="architecture")
    width: int = Field(default=32, ge=4, description="channels of the compact networks")
    blocks: int = Field(default=1, ge=1, description="residual blocks per level (compact ones)")
    pairs: PairKind = Field(
        default="recorrupted",
        description="what is judged by what; without a noise model: interleaved (volumes: every "
        "other plane by the planes between), realigned (SIM frames: a quarter of the pixels by the "
        "other three), temporal (movies: every picture by the one before or after)",
    )
    gap_weight: float = Field(
        default=0.0,
        ge=0,
        description="interleaved volumes: weight of the agreement of both halves' predictions",
    )
    upsample: bool = Field(default=False, description="object grid 2× finer (unet_paper)")
    loss: LossKind = Field(
        default="raw",
        description="data term: raw frames' likelihood, or the image's residual whitened, "
        "divided by the local variance, or plain",
    )
    iterations: int | None = Field(default=None, ge=1, description="exact number of steps")
    budget_s: float | None = Field(
        default=None, gt=0, description="training time, s; default 300 without iterations"
    )
    input_regularization: float = Field(
        default=0.02, gt=0, description="factor on the SIM regularisation for the network's input"
    )
    patch: int = Field(default=192, ge=48, description="training patch, pixels of the output grid")
    batch: int = Field(default=2, ge=1, description="patches per step")
    margin: int = Field(default=16, ge=0, description="patch border left out of the loss, pixels")
    patch_planes: int = Field(default=48, ge=4, description="planes of a volume's patch")
    margin_planes: int = Field(
        default=2, ge=0, description="planes left out of the loss at both ends of such a patch"
    )
    lr: float = Field(default=2e-3, gt=0, description="largest learning rate of Adam")
    inner_lr: float = Field(
        default=0.02,
        ge=0,
        description="largest rate of the orthogonalised steps of inner convolutions; "
        "0: Adam for them too",
    )
    lr_final: float = Field(
        default=2e-5, gt=0, description="Adam's rate at the end (cosine); the other in proportion"
    )
    precision: Precision = Field(
        default="auto",
        description="arithmetic of the training's convolutions; auto: bfloat16 where the "
        "processor has it",
    )
    mu: float = Field(default=0.1, ge=0, le=1, description="weight of the denoising loss")
    resimulation: float = Field(
        default=0.06, ge=0, description="weight of the object-domain loss on re-simulated data"
    )
    warmup: float = Field(
        default=0.25, ge=0, le=1, description="fraction of the training before that loss starts"
    )
    refresh: int = Field(
        default=40,
        ge=1,
        description="steps between its estimates for a 256² field; more for larger ones",
    )
    tv_weight: float = Field(default=0.0, ge=0, description="total variation, per noise sigma")
    hessian_weight: float = Field(default=0.0, ge=0, description="L1 of second differences")
    alpha: tuple[float, float] = Field(
        default=(0.3, 1.0), description="range of the re-corruption strength"
    )
    bank: int = Field(
        default=8, ge=2, description="noise draws for a 256² field; fewer (≥ 4) for larger ones"
    )
    ema: float = Field(default=0.99, ge=0, lt=1, description="decay of the weights' mean")
    seed: int = Field(default=0, ge=0, description="seed of every random draw")
    deterministic: bool = Field(
        default=False,
        description="only algorithms that repeat to the bit; needs iterations, and no budget_s",
    )
    withheld: float = Field(
        default=0.1,
        ge=0,
        le=0.5,
        description="share of a plain picture's pixels that are no target of the training: they "
        "choose when it stops and how its two pictures are combined (loss raw); 0: none",
    )
    draws: int = Field(default=1, ge=1, description="re-corruptions averaged at inference")
    alpha_inference: float = Field(
        default=0.0, ge=0, description="their strength; 0: the image itself, once"
    )
    self_ensemble: bool = Field(
        default=True, description="mean over the field's allowed turns and mirror images"
    )
    stacking_draws: int = Field(
        default=2,
        ge=0,
        description="fresh copies from which denoised picture and object are combined, ring by "
        "ring in frequency; 0: the network's object alone",
    )
    companion: bool = Field(
        default=False,
        description="plain pictures: mix what is shown with the sparse deconvolution, in the share "
        "that withheld pixels of fresh copies want (needs withheld and stacking_draws); χ², flux, "
        "uncertainty and probes stay those of the network alone",
    )
    shown_cutoff: float = Field(
        default=1.5,
        ge=0,
        description="resolution of 'deconvolved': that of an ideal microscope with so many times "
        "the linear picture's cut-off; 0: the object as it is",
    )
    uncertainty_draws: int = Field(
        default=4,
        ge=0,
        description="simulated repeats of the measurement; their distance counts; 0: no map",
    )
    probes: bool = Field(
        default=True,
        description="ask the trained network for structures that were erased, and for a blank "
        "field (planes only)",
    )
    held_out_draws: int = Field(
        default=2,
        ge=0,
        description="fresh copies on which the network must beat its start; 0: no check",
    )
    tile: int = Field(default=768, ge=128, description="longest side of an inference tile, pixels")
    tile_planes: int = Field(default=64, ge=8, description="inference tile of a volume, planes")
    checkpoint_s: float = Field(default=30.0, gt=0, description="seconds between checkpoints")
    device: str = Field(default="auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$")

    @model_validator(mode="after")
    def _check(self) -> Self:
        low, high = self.alpha
        if not 0 < low <= high:
            raise ValueError("alpha needs 0 < low ≤ high")
        if 2 * self.margin >= self.patch or 2 * self.margin_planes >= self.patch_planes:
            raise ValueError("margin leaves nothing of the patch")
        if self.upsample and self.network != "unet_paper":
            raise ValueError("upsample needs network='unet_paper'")
        if self.held_out_draws == 1:
            raise ValueError("held_out_draws: one draw has no error estimate; 0 or at least 2")
        if self.deterministic and (self.iterations is None or self.budget_s is not None):
            raise ValueError(
                "deterministic: needs iterations and no time limit (how many steps fit into a time "
                "is chance)"
            )
        if self.uncertainty_draws == 1:
            raise ValueError("uncertainty_draws: one repeat has no spread; 0 or at least 2")
        return self

    @property
    def of_volumes(self) -> bool:
        """Whether the network is one of volumes."""
        return self.network in get_args(VolumeNetwork)

    def margins(self, axes: int) -> tuple[int, ...]:
        """Patch borders left out of the loss, per axis of a picture (2) or a volume (3)."""
        return (self.margin_planes,) * (axes - 2) + (self.margin, self.margin)

    @property
    def time_limit_s(self) -> float | None:
        """Training time that is kept to, or None when only `iterations` counts."""
        if self.budget_s is not None:
            return self.budget_s
        return None if self.iterations is not None else 300.0


VOLUME_DEFAULTS: dict[str, Any] = {
    "network": "compact3d",
    "width": 24,
    "patch": 64,
    "margin": 8,
    "bank": 4,
    "ema": 0.98,
    "resimulation": 0.0,
    "uncertainty_draws": 2,
    "tile": 192,
}
"""What differs for volumes: their patches hold as many values, and a draw costs a volume."""


def field_factor(image_pixels: int) -> float:
    """Size of a field relative to 512 × 512 image pixels (256² raw), at least 1."""
    return max(1.0, image_pixels / 512**2)


def build_settings(**values: Any) -> ZsSettings:
    """Settings from keyword values; None means default.

    Raises
    ------
    UsageError
        For an unknown name or an impossible value.
    """
    try:
        return ZsSettings(**{k: v for k, v in values.items() if v is not None})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            near = difflib.get_close_matches(name, ZsSettings.model_fields, n=1)
            raise UsageError(
                f"Unknown setting 'zsdeconv.{name}'.",
                expected="one of the keys of 'zsdeconv config'",
                hint=f"did you mean 'zsdeconv.{near[0]}'?" if near else "see 'zsdeconv config'",
            ) from error
        raise UsageError(
            "A setting of zsdeconv has an impossible value.",
            expected=first["msg"],
            got=repr(first.get("input")),
            where=f"zsdeconv.{name}" if name else "settings of zsdeconv",
        ) from error


def parse_duration_s(text: str) -> float:
    """Read ``90``, ``90s``, ``5min`` or ``1.5h`` as seconds.

    Raises
    ------
    UsageError
        For anything else, or a duration that is not positive.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d*)?)\s*(s|min|m|h)?\s*", text)
    seconds = 0.0
    if found is not None:
        unit = {"s": 1.0, None: 1.0, "min": 60.0, "m": 60.0, "h": 3600.0}[found[2]]
        seconds = float(found[1]) * unit
    if seconds <= 0:
        raise UsageError(
            "Cannot read a duration.", expected="90s, 5min or 1.5h", got=text, where="--budget"
        )
    return seconds

"""Settings: frozen, complete, with units in their names; unknown keys are errors.

One tree (:class:`Settings`) serves the Python API, the command line (``--set a.b=c`` and the
named options) and the files given with ``--config`` (TOML or JSON). A key may be written with
its section (``optics.na``) or, because no two sections share a name, without it (``na``).
"""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from simrecon.errors import InputError, UsageError
from simrecon.model.mode import MODES, refuse_by_name


class _Section(BaseModel):
    """Base of all settings: immutable, and unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class AcquisitionSettings(_Section):
    """Facts about the raw file; None means: take it from the file or refuse."""

    pixel_um: float | None = Field(default=None, gt=0, description="camera pixel in the sample, µm")
    dz_um: float | None = Field(default=None, gt=0, description="distance between planes, µm")
    order: str | None = Field(
        default=None, description="frame order, fastest first, e.g. PA, AP or PZA"
    )
    angles: int | None = Field(default=None, ge=1, description="number of pattern directions")
    phases: int | None = Field(
        default=None, ge=1, description="number of phase steps per direction"
    )
    planes: int | None = Field(
        default=None, ge=1, description="number of planes in a plain sequence of frames"
    )
    channels: int | None = Field(
        default=None, ge=1, description="number of channels in a plain sequence (C in the order)"
    )


class OpticsSettings(_Section):
    """The microscope; None means: take it from the file, or refuse where it is needed."""

    na: float | None = Field(default=None, gt=0, description="numerical aperture of detection")
    index: float | None = Field(default=None, ge=1, description="refractive index of the immersion")
    sample_index: float | None = Field(
        default=None, ge=1, description="refractive index of the sample"
    )
    depth_um: float | None = Field(
        default=None, description="depth of focus below the coverslip, µm"
    )
    emission_nm: float | tuple[float, ...] | None = Field(
        default=None, description="emission wavelength, nm; one, or one per channel"
    )
    excitation_nm: float | tuple[float, ...] | None = Field(
        default=None, description="excitation wavelength, nm; one, or one per channel"
    )
    excitation_na: float | None = Field(
        default=None, gt=0, description="NA of the interfering beams"
    )
    pixel_integration: bool | None = Field(
        default=None,
        description="camera pixels integrate over their area (true for every real camera)",
    )


class CameraSettings(_Section):
    """The camera: counts = offset + gain·electrons; None means: from the file or assumed."""

    gain: float | None = Field(default=None, gt=0, description="counts per photo-electron")
    offset: float | None = Field(default=None, description="counts without light")
    read_noise_e: float | None = Field(
        default=None, ge=0, description="read noise, photo-electrons rms"
    )
    camera: str | None = Field(
        default=None, description="camera record file (instead of the numbers)"
    )
    gain_map: str | None = Field(
        default=None, description="TIFF map of the gain, counts per photo-electron, NaN = bad pixel"
    )
    offset_map: str | None = Field(default=None, description="TIFF map of the offset, counts")
    read_noise_map: str | None = Field(
        default=None, description="TIFF map of the read noise, photo-electrons rms"
    )

    @property
    def files(self) -> tuple[str, ...]:
        """Files that hold the camera."""
        named = (self.camera, self.gain_map, self.offset_map, self.read_noise_map)
        return tuple(name for name in named if name is not None)


class EstimateSettings(_Section):
    """How the illumination pattern is found."""

    period_um: float | None = Field(
        default=None, gt=0, description="expected period of the pattern's fundamental, µm"
    )
    angles_rad: tuple[float, ...] | None = Field(
        default=None, description="expected directions, atan2(fy, fx), rad, y downwards"
    )
    preset: str | None = Field(
        default=None,
        description="known instrument ('simrecon inspect' names those that fit) whose published "
        "pattern on_fit_failure=preset uses, where period_um and angles_rad are not given",
    )
    drift: Literal["auto", "off"] = Field(
        default="auto",
        description="auto: motion of the sample between frames is measured and corrected",
    )
    local: Literal["auto", "off", "on"] = Field(
        default="auto",
        description="pattern that varies over the field: auto where it clearly does, off never, "
        "on always",
    )
    share_pattern: bool = Field(
        default=False,
        description="one pattern per channel, fitted to the mean of all times and planes",
    )
    share_channels: bool = Field(
        default=False,
        description="one pattern geometry for all channels, periods as the excitation wavelengths",
    )


class ReconstructionSettings(_Section):
    """How frames become a picture."""

    mode: Literal["2d", "tirf", "slice3", "nonlinear", "hex", "3d", "lls"] = Field(
        default="2d",
        description="kind of illumination; tirf expects beams between sample index and NA; slice3: "
        "three beams, one plane (5 phases); nonlinear: harmonics (5 phases: 2, 7 phases: 3); hex: "
        "three carriers in the same 7 frames; 3d: three beams, 5 phases, all planes as one volume; "
        "lls: lattice light sheet, one direction, all planes as one volume",
    )
    method: Literal["wiener", "tv", "hessian", "rl"] = Field(
        default="wiener",
        description="wiener: linear, with variance and PSF; tv, hessian: positive, iterative, with "
        "that penalty; rl: joint Richardson-Lucy",
    )
    zoom: int = Field(default=2, ge=1, le=4, description="output pixels per camera pixel and axis")
    otf_model: Literal["auto", "ideal", "scalar", "vectorial"] = Field(
        default="auto", description="model of the theoretical OTF, used when no OTF file is given"
    )
    regularization: Literal["auto", "wiener"] = Field(
        default="auto", description="auto: noise-to-signal spectrum; wiener: a constant"
    )
    regularization_factor: float = Field(
        default=1.0,
        gt=0,
        description="multiplies auto (for method rl: divides the iterations); 1 is neutral",
    )
    max_iterations: int = Field(
        default=300, ge=1, description="limit of the methods tv, hessian and rl"
    )
    wiener_constant: float = Field(
        default=0.05, gt=0, description="constant of regularization=wiener"
    )
    apodization: Literal["support", "triangle", "none"] = Field(
        default="support", description="how the spectrum fades towards its edge"
    )
    attenuation: Literal["off", "auto"] | Annotated[float, Field(gt=0, lt=1)] = Field(
        default="off",
        description="out-of-focus light: off, auto (90 % removed where it is detected), or the "
        "share of it to remove, above 0 and below 1",
    )
    distant_light: Literal["auto", "off"] = Field(
        default="auto",
        description="volumes: light from beyond the stack is kept out of it (auto) or taken as "
        "if the stack went on as its mirror image (off)",
    )
    equalise: bool = Field(
        default=False,
        description="even out smooth differences of brightness between the directions",
    )
    attenuation_fwhm_per_um: float = Field(
        default=0.5, gt=0, description="spectral width of the out-of-focus light, cycles/µm"
    )
    variance: bool = Field(default=True, description="propagate the raw noise into a variance map")
    on_fit_failure: Literal["stop", "preset", "widefield"] = Field(
        default="stop",
        description="what happens when the pattern cannot be fitted: stop; preset: phases and "
        "modulation are fitted at the nominal frequencies (period_um or the excitation NA, "
        "angles_rad, or those of the instrument named by preset); widefield: the widefield picture",
    )
    device: str = Field(
        default="auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$", description="where to compute"
    )
    max_memory_gb: float | None = Field(
        default=None,
        gt=0,
        description="refuse to need more than this, GB (volumes: tiles)",
    )

    @property
    def linear(self) -> bool:
        """Whether the picture is a linear function of the frames: variance and PSF exist."""
        return self.method == "wiener"


class SheetSettings(_Section):
    """The light sheet of mode lls, and how the sample moves through it."""

    scan: Literal["objective", "stage"] = Field(
        default="objective",
        description="what moves from plane to plane: the objective with the sheet, or the stage at "
        "an angle (volumes are then deskewed after the reconstruction)",
    )
    stage_angle_deg: float | None = Field(
        default=None,
        gt=3,
        lt=87,
        description="angle between the stage's way and the focal plane, degrees",
    )
    stage_moves: Literal["up", "down", "left", "right"] = Field(
        default="up",
        description="where structures move in the frames from plane to plane of a stage scan (up: "
        "towards row 0)",
    )
    lattice: Literal["square", "hexagonal", "harmonic-balanced"] = Field(
        default="square", description="kind of lattice, for the theoretical OTF"
    )
    lattice_na_max: float | None = Field(
        default=None, gt=0, description="outer NA of the lattice's annulus"
    )
    lattice_na_min: float | None = Field(
        default=None, ge=0, description="inner NA of the lattice's annulus"
    )
    sheet_offset_um: float | Literal["auto"] = Field(
        default="auto",
        description="distance of the sheet from the focal plane, µm, positive deeper; auto: from "
        "the overlap of the bands (theoretical OTF; a measured one holds its sheet where it was)",
    )
    sheet_orders: Literal["auto", 1, 2] = Field(
        default="auto",
        description="orders of the pattern in the light: auto those of the OTF (a lattice has 2, "
        "which need 5 phases); 1: order 2 is taken to be absent, for which 3 phases do",
    )
    phase_step_um: float | None = Field(
        default=None,
        gt=0,
        description="distance by which the pattern moves from frame to frame, µm, as a start of "
        "the phases' fit; None: even steps, or those that the carrier shows",
    )


class Settings(_Section):
    """All settings of a reconstruction.

    Attributes
    ----------
    acquisition, optics, camera
        What the file means, used by the readers where metadata lack it.
    estimate, sheet, reconstruction
        What is done with it.
    """

    acquisition: AcquisitionSettings = AcquisitionSettings()
    optics: OpticsSettings = OpticsSettings()
    camera: CameraSettings = CameraSettings()
    estimate: EstimateSettings = EstimateSettings()
    sheet: SheetSettings = SheetSettings()
    reconstruction: ReconstructionSettings = ReconstructionSettings()

    def reader_overrides(self) -> dict[str, Any]:
        """What the user gave about the file, as keyword arguments of ``simrecon.read``."""
        given: dict[str, Any] = {}
        for section in (self.acquisition, self.optics, self.camera):
            given.update(section.model_dump(exclude_none=True))
        return given


def _sections() -> dict[str, type[_Section]]:
    return {
        name: field.annotation
        for name, field in Settings.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, _Section)
    }


def key_paths() -> dict[str, tuple[str, str]]:
    """Every accepted spelling of a key (``na``, ``optics.na``) → (section, name)."""
    paths: dict[str, tuple[str, str]] = {}
    for section, model in _sections().items():
        for name in model.model_fields:
            paths[f"{section}.{name}"] = (section, name)
            paths[name] = (section, name)
    return paths


def _resolve(key: str, where: str) -> tuple[str, str]:
    paths = key_paths()
    if key in paths:
        return paths[key]
    near = difflib.get_close_matches(key, paths, n=1)
    raise UsageError(
        f"Unknown setting '{key}'.",
        expected="one of the keys of 'simrecon config show'",
        where=where,
        hint=f"did you mean '{near[0]}'?" if near else "see 'simrecon config schema'",
    )


def nest(flat: Mapping[str, Any], where: str = "settings") -> dict[str, dict[str, Any]]:
    """Sort keys with or without section into sections; tables are taken as sections."""
    nested: dict[str, dict[str, Any]] = {}
    for key, value in flat.items():
        items = value if key in _sections() and isinstance(value, Mapping) else None
        pairs = [(key, value)] if items is None else [(f"{key}.{k}", v) for k, v in items.items()]
        for path, entry in pairs:
            section, name = _resolve(path, where)
            nested.setdefault(section, {})[name] = entry
    return nested


def parse_assignments(assignments: Sequence[str]) -> dict[str, Any]:
    """Read ``a.b=c`` texts; the value is JSON where it can be, else the text itself."""
    flat: dict[str, Any] = {}
    for text in assignments:
        key, sign, value = text.partition("=")
        if not sign:
            raise UsageError(
                "Cannot read a setting.", expected="key=value", got=text, where="--set"
            )
        try:
            flat[key.strip()] = json.loads(value)
        except json.JSONDecodeError:
            flat[key.strip()] = value.strip()
    return flat


def load_settings_file(path: Path) -> dict[str, Any]:
    """Read a TOML or JSON settings file into a plain dictionary (not yet checked).

    Raises
    ------
    InputError
        When the file cannot be read or parsed.
    """
    try:
        text = path.read_text(encoding="utf-8")
        data = json.loads(text) if path.suffix.lower() == ".json" else tomllib.loads(text)
    except FileNotFoundError as error:
        raise InputError("The file does not exist.", where=str(path)) from error
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(
            "The settings file cannot be read.",
            expected="TOML, or JSON in a file that ends in .json",
            got=str(error),
            where=str(path),
        ) from error
    if not isinstance(data, dict):
        raise InputError("The settings file holds no table.", where=str(path))
    return data


_CHOICES = {
    "mode": ", ".join(MODES),
    "attenuation": "off, auto, or a share x with 0 < x < 1",
    "device": "auto, cpu, cuda or cuda:N",
}
"""What is allowed where pydantic would tell only a part of it, or a regular expression."""


def build_settings(*layers: tuple[str, Mapping[str, Any]]) -> Settings:
    """Merge layers of ``(where, keys)``, later ones winning, and check the result.

    Raises
    ------
    UsageError
        For an unknown key or a value out of range, naming the key and what was expected.
    """
    merged: dict[str, dict[str, Any]] = {}
    for where, flat in layers:
        for section, values in nest(flat, where).items():
            merged.setdefault(section, {}).update(values)
    refuse_by_name(merged.get("reconstruction", {}).get("mode"))
    try:
        return Settings.model_validate(merged)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = str(first["loc"][1]) if len(first["loc"]) > 1 else ""
        choices = _CHOICES.get(name)
        place = ".".join(str(part) for part in first["loc"])
        raise UsageError(
            "A setting has an impossible value.",
            expected=choices or first["msg"],
            got=repr(first.get("input")),
            where=f"{'.'.join(map(str, first['loc'][:2]))} (--{name})" if choices else place,
            hint="see 'simrecon config show' for units and defaults",
        ) from error


def as_settings(settings: Settings | ReconstructionSettings | None) -> Settings:
    """Accept the whole tree, its reconstruction part alone, or nothing (defaults)."""
    if settings is None:
        return Settings()
    if isinstance(settings, ReconstructionSettings):
        return Settings(reconstruction=settings)
    return settings


def settings_schema() -> dict[str, Any]:
    """JSON schema of the settings tree."""
    return Settings.model_json_schema()


def to_toml(settings: Settings) -> str:
    """Settings as a TOML file with every key explained; keys that are None are commented out."""
    lines: list[str] = []
    for section, model in _sections().items():
        lines.append(f"[{section}]")
        for name, field in model.model_fields.items():
            value = getattr(getattr(settings, section), name)
            entry = f"# {name} =" if value is None else f"{name} = {json.dumps(value)}"
            lines.append(f"{entry}  # {field.description}")
        lines.append("")
    return "\n".join(lines)

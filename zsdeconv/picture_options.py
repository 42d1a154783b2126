"""Options of the commands on plain pictures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from simrecon.config import Settings
from zsdeconv.config import ZsSettings
from zsdeconv.options import TrainOptions, both_settings, file_options


@Parameter(name="*")
@dataclass(frozen=True)
class PictureOptions:
    """Optics and camera of the pictures; the same keys work in --config and --set.

    Parameters
    ----------
    pixel_um
        Pixel in the sample, µm [default: from the file].
    na
        Numerical aperture of detection [default: from the file].
    index
        Refractive index of the immersion [default: from the file, else 1.515].
    emission_nm
        Emission wavelength, nm [default: from the file].
    excitation_nm
        Excitation wavelength, nm, for confocal and two-photon [default: from the file].
    microscope
        Kind of PSF that is computed: widefield (and TIRF), confocal or two-photon.
    psf
        PSF picture or OTF file, instead of the computed one.
    psf_pixel_um
        Pixel of the PSF picture, µm [default: from its file].
    gain
        Camera: counts per photo-electron [default: estimated from the pictures].
    offset
        Camera: counts without light [default: estimated].
    read_noise_e
        Camera: read noise, photo-electrons rms [default: estimated].
    camera
        Camera record file, instead of the three numbers.
    gain_map
        TIFF with the gain of every pixel; NaN or inf marks a bad pixel.
    offset_map
        TIFF with the offset of every pixel.
    read_noise_map
        TIFF with the read noise of every pixel, photo-electrons.
    fixed_pattern
        auto: take columns and rows off that are too bright or dark, as far as they are significant;
        a model keeps what it took off, for pictures of the same camera window.
    channel
        Channel, from 0; needed where there are several.
    plane
        Plane, from 0; needed where there are several.
    config
        Settings file (TOML, or JSON).
    set
        One setting, a.b=c or zsdeconv.b=c; may be repeated; see 'zsdeconv config'.
    """

    pixel_um: float | None = None
    na: float | None = None
    index: float | None = None
    emission_nm: float | None = None
    excitation_nm: float | None = None
    microscope: Literal["widefield", "confocal", "two-photon"] = "widefield"
    psf: Path | None = None
    psf_pixel_um: float | None = None
    gain: float | None = None
    offset: float | None = None
    read_noise_e: float | None = None
    camera: str | None = None
    gain_map: str | None = None
    offset_map: str | None = None
    read_noise_map: str | None = None
    fixed_pattern: Literal["off", "auto"] = "off"
    channel: int | None = None
    plane: int | None = None
    config: Path | None = None
    set: Annotated[list[str] | None, Parameter(negative=())] = None

    def settings(self, train: TrainOptions | None) -> tuple[ZsSettings, Settings]:
        """Settings of the training and of the engine (optics, camera)."""
        return both_settings(file_options(self), train)

    def side_files(self, engine: Settings) -> list[Path]:
        """Files that are read beside the pictures."""
        named = (self.psf, self.config, *engine.camera.files)
        return [Path(p) for p in named if p is not None]

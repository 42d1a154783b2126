"""Bead stacks with known truth, as the camera of a focusing microscope sees them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from simrecon.errors import UsageError
from simrecon.model.affine import Affine2D
from simrecon.model.camera import Camera
from simrecon.model.optics import Optics
from simrecon.physics.bead_image import Camera3D
from simrecon.physics.exposure import expose
from simrecon.physics.pupil import PupilModel


@dataclass(frozen=True)
class Bead:
    """One bead of a simulated stack.

    Attributes
    ----------
    position_um : (float, float, float)
        (z, y, x): plane 0 is z = 0; the centre of pixel (0, 0) is y = x = 0.
    flux_e : float
        Photo-electrons per plane, all over the camera.
    drift : (float, float)
        Lateral motion (y, x), µm per µm of z, around the bead's own focus.
    diameter_um : float or None
        None: that of the stack.
    """

    position_um: tuple[float, float, float]
    flux_e: float
    drift: tuple[float, float] = (0.0, 0.0)
    diameter_um: float | None = None


def scattered_beads(
    shape: tuple[int, int, int],
    *,
    pixel_um: float,
    dz_um: float,
    optics: Optics,
    bead_um: float,
    peak_e: float,
    aberrations_nm: Mapping[int, float] | None = None,
    spacing_um: float = 3.0,
    seed: int = 0,
) -> list[Bead]:
    """Beads on a jittered lattice near the middle plane.

    Parameters
    ----------
    shape
        (planes, rows, columns) of the stack.
    peak_e
        Photo-electrons of the median bead in its brightest pixel, in focus.
    spacing_um
        Distance between beads; they lie within a sixth of it from their lattice points, within half
        a plane from the middle, and vary by 10 % in brightness.
    """
    rng = np.random.default_rng(seed)
    camera = Camera3D((5, 5), pixel_um, (0.0,), optics.pixel_integration, bead_um)
    flux = peak_e / float(camera.image(optics, aberrations_nm=aberrations_nm).max())
    middle = 0.5 * (shape[0] - 1) * dz_um
    places = [np.arange(0.75 * spacing_um, n * pixel_um - 0.5 * spacing_um, spacing_um)
              for n in shape[1:]]  # fmt: skip
    if min(p.size for p in places) == 0:
        raise UsageError("The field is too small for a bead.", got=f"{shape[1:]} pixels",
                         expected=f"more than {1.25 * spacing_um:g} µm")  # fmt: skip
    beads = []
    for y in places[0]:
        for x in places[1]:
            jitter = rng.uniform(-0.5, 0.5, 3) * (dz_um, spacing_um / 3.0, spacing_um / 3.0)
            z_um, y_um, x_um = (float(v) for v in np.add((middle, y, x), jitter))
            beads.append(Bead((z_um, y_um, x_um), flux * float(rng.normal(1.0, 0.1))))
    return beads


def simulate_beads(
    beads: Sequence[Bead],
    *,
    shape: tuple[int, int, int],
    pixel_um: float,
    dz_um: float,
    optics: Optics,
    bead_um: float = 0.1,
    aberrations_nm: Mapping[int, float] | None = None,
    model: PupilModel = "auto",
    background_e: float = 10.0,
    camera: Camera | None = None,
    bit_depth: int = 16,
    window_px: int = 61,
    seed: int = 0,
) -> np.ndarray:
    """Counts of a z-stack of beads.

    Parameters
    ----------
    shape
        (planes, rows, columns).
    dz_um
        Plane k sees a bead at height z with the emitter ``k·dz_um − z`` beyond focus.
    aberrations_nm
        Noll index → rms wavefront, nm.
    background_e
        Uniform light, photo-electrons per pixel.
    window_px
        Each bead's light is drawn on this many pixels around it and is zero outside.

    Returns
    -------
    ndarray, `shape`, uint16
    """
    if min(shape) < 1:
        raise UsageError("A stack needs planes, rows and columns.", got=str(shape))
    expected = np.full(shape, float(background_e))
    for bead in beads:
        _draw(expected, bead, pixel_um, dz_um, optics, bead_um, aberrations_nm, model, window_px)
    camera = camera or Camera(2.0, 100.0, 1.5, source="simulated")
    return expose(expected, camera, np.random.default_rng(seed), bit_depth=bit_depth)[0]


def simulate_bead_channels(
    beads: Sequence[Bead],
    maps: Sequence[Affine2D],
    *,
    shape: tuple[int, int],
    pixel_um: float,
    optics: Sequence[Optics],
    bead_um: float = 0.1,
    background_e: float = 10.0,
    camera: Camera | None = None,
    seed: int = 0,
) -> np.ndarray:
    """Counts of beads in focus in several channels, (C, Y, X) uint16.

    Parameters
    ----------
    beads
        Where the first channel would show them without a map of its own; heights are ignored.
    maps, optics
        One per channel: where its camera shows a point, and its detection.
    shape
        (rows, columns).
    """
    pictures = []
    for number, (moved, detection) in enumerate(zip(maps, optics, strict=True)):
        places = moved(np.array([b.position_um[1:] for b in beads]))
        here = [replace(b, position_um=(0.0, float(y), float(x)))
                for b, (y, x) in zip(beads, places, strict=True)]  # fmt: skip
        pictures.append(
            simulate_beads(here, shape=(1, *shape), pixel_um=pixel_um, dz_um=0.1,
                           optics=detection, bead_um=bead_um, background_e=background_e,
                           camera=camera, window_px=41, seed=seed + number)[0]
        )  # fmt: skip
    return np.stack(pictures)


def _draw(
    field: np.ndarray,
    bead: Bead,
    pixel_um: float,
    dz_um: float,
    optics: Optics,
    bead_um: float,
    aberrations_nm: Mapping[int, float] | None,
    model: PupilModel,
    window_px: int,
) -> None:
    """Add one bead to the expected electrons; what lies outside the camera is lost."""
    z, y, x = bead.position_um
    corner = [round(v / pixel_um) - window_px // 2 for v in (y, x)]
    within = [v - (c + window_px // 2) * pixel_um for v, c in zip((y, x), corner, strict=True)]
    planes = tuple(k * dz_um - z for k in range(field.shape[0]))
    diameter = bead_um if bead.diameter_um is None else bead.diameter_um
    still = bead.drift == (0.0, 0.0)
    parts = []
    for group in [planes] if still else [(p,) for p in planes]:
        camera = Camera3D(
            (window_px, window_px), pixel_um, group, optics.pixel_integration, diameter
        )
        moved = [w + (0.0 if still else d * group[0])
                 for w, d in zip(within, bead.drift, strict=True)]  # fmt: skip
        parts.append(
            camera.image(optics, position_um=(0.0, moved[0], moved[1]), model=model,
                         aberrations_nm=aberrations_nm)
        )  # fmt: skip
    picture = bead.flux_e * np.concatenate(parts)
    inside = [slice(max(c, 0), min(c + window_px, n))
              for c, n in zip(corner, field.shape[1:], strict=True)]  # fmt: skip
    if any(s.start >= s.stop for s in inside):
        return
    cut = [slice(s.start - c, s.stop - c) for s, c in zip(inside, corner, strict=True)]
    field[:, inside[0], inside[1]] += picture[:, cut[0], cut[1]]

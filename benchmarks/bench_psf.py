"""`simcal psf` on simulated beads: bias and coverage of what it reports, and its thresholds.

    python benchmarks/bench_psf.py [--draws 60]     # writes benchmarks/results/psf.json

Over draws of places, brightness and noise: how large errors of Zernike coefficients, widths and
positions are, and how large they are said to be; χ². Then how far aberrations move a spot through
focus, how far a neighbour pulls a bead's centre, and χ² where an aberration is not fitted.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from common import save

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "helpers"))
import bead_field

from calibration.psf.detect import fit_gaussian
from calibration.psf.expected import expected_widths
from calibration.psf.fit import planes_um
from calibration.psf.measure import PsfMeasurement, measure_psf
from calibration.psf.settings import BeadSetup, PsfSettings
from calibration.psf.width import psf_widths
from simrecon.model.optics import Optics
from simrecon.physics.bead_image import Camera3D

SETUP = BeadSetup(bead_field.PIXEL_UM, bead_field.DZ_UM, bead_field.OPTICS, bead_field.BEAD_UM)
SETTINGS = PsfSettings(window_um=2.1)
PITCHES = (SETUP.dz_um or 0.0, SETUP.pixel_um, SETUP.pixel_um)


def coverage(draws: int) -> dict[str, Any]:
    """Nine beads of about 1000 photo-electrons at the peak, aberrated, `draws` times."""
    zernike, stated, widths, width_sd, places, place_sd, chi2 = ([] for _ in range(7))
    for seed in range(draws):
        beads = bead_field.beads(3, 3, 15000.0, seed)
        found = measure_psf([bead_field.render(beads, 3, 3, seed=seed)], SETUP, SETTINGS)
        fit = found.fit
        zernike.append([v - bead_field.ABERRATIONS.get(j, 0.0)
                        for j, v in fit.aberrations_nm.items()])  # fmt: skip
        stated.append(list(fit.aberrations_sd_nm.values()))
        chi2.append(fit.chi2)
        widths.append(np.array(found.widths.gaussian) / _true_widths(found) - 1.0)
        width_sd.append(np.array(found.width_sd_um) / found.widths.gaussian)
        true = np.array([b.position_um for b in beads]) / PITCHES
        off = np.array([min(found.aligned.positions_px - t, key=lambda e: np.hypot(e[1], e[2]))
                        for t in true])  # fmt: skip
        places.append(off - off.mean(axis=0))
        place_sd.append(found.aligned.position_sd_px)
        print(f"draw {seed}: {len(found.used)} beads, χ² {fit.chi2:.3f}, errors over sd "
              f"{np.round(np.divide(zernike[-1], stated[-1]), 2)}", flush=True)  # fmt: skip
    errors, pulls = np.array(zernike), np.divide(zernike, stated)
    per_draw = np.mean(pulls**2, axis=1)  # the terms of one draw are not independent
    ratio = float(np.sqrt(per_draw.mean()))
    error = float(per_draw.std(ddof=1) / np.sqrt(draws) / (2.0 * ratio)) if draws > 1 else None
    dof = len(places[0]) / (len(places[0]) - 1)  # the common centre was taken out
    return {
        "draws": draws, "terms": list(SETTINGS.terms),
        "zernike_error_rms_nm": _rms(errors), "zernike_error_largest_nm": np.abs(errors).max(),
        "zernike_bias_nm": errors.mean(axis=0).tolist(),
        "zernike_error_over_stated": ratio, "zernike_error_over_stated_sd": error,
        "zernike_largest_pull": np.abs(pulls).max(),
        "zernike_within_1_sd": np.mean(np.abs(pulls) < 1.0),
        "fwhm_zyx_error_rms_percent": (100 * _rms(widths, 0)).tolist(),
        "fwhm_zyx_error_largest_percent": (100 * np.abs(widths).max(axis=0)).tolist(),
        "fwhm_zyx_stated_percent": (100 * _rms(width_sd, 0)).tolist(),
        "position_zyx_error_rms_px": (np.sqrt(dof) * _rms(np.concatenate(places), 0)).tolist(),
        "position_zyx_stated_px": _rms(np.concatenate(place_sd), 0).tolist(),
        "chi2": [min(chi2), max(chi2)],
    }  # fmt: skip


def _rms(values: Any, axis: int | None = None) -> Any:
    return np.sqrt(np.mean(np.square(values), axis=axis))


def _true_widths(found: PsfMeasurement) -> np.ndarray:
    """Gaussian FWHM (z, y, x) of the noise-free bead at the place of the mean one, µm."""
    planes, side = found.aligned.mean.shape[:2]
    place = tuple(found.fit.values[n] for n in ("z_um", "y_um", "x_um"))
    camera = Camera3D((side, side), SETUP.pixel_um, planes_um(planes, SETUP), True, SETUP.bead_um)
    exact = camera.image(SETUP.optics, position_um=place, aberrations_nm=bead_field.ABERRATIONS)
    guesses = (found.expected.axial_um, *[found.expected.lateral_um] * 2)
    return np.array(psf_widths(exact, PITCHES, guesses).gaussian)


def moving_spots() -> list[dict[str, Any]]:
    """Sideways motion through the depth of focus under 0.1 wave rms of some aberrations."""
    rows = []
    for optics in (Optics(0.85, 520.0, 1.0), Optics(1.4, 520.0, 1.515)):
        setup = BeadSetup(0.25 / optics.na * 0.52, 0.1, optics, 0.1)
        expected = expected_widths(setup)
        z = np.linspace(-0.5, 0.5, 7) * expected.axial_um
        camera = Camera3D((21, 21), setup.pixel_um, tuple(z), True, 0.1)
        for terms in ((6,), (8,), (11,), (6, 8), (8, 11), (5, 7, 11)):
            each = 52.0 / np.sqrt(len(terms))
            image = camera.image(optics, aberrations_nm=dict.fromkeys(terms, each))
            best = image.max(axis=(1, 2)).argmax()
            y, x = np.unravel_index(image[best].argmax(), image[best].shape)
            sigma = expected.lateral_um / 2.355 / setup.pixel_um
            places = np.array([fit_gaussian(1e5 * p, int(y), int(x), sigma)[:2] for p in image])
            slope = np.hypot(*(np.polyfit(z, places[:, a], 1)[0] for a in range(2)))
            moved = slope * setup.pixel_um * expected.axial_um / expected.lateral_um
            rows.append({"na": optics.na, "noll": list(terms), "moves_lateral_fwhm": moved})
            print(rows[-1])
    return rows


def pulled_centres() -> list[dict[str, float]]:
    """Shift of a fitted centre by a neighbour of a tenth of the bead's light."""
    expected = expected_widths(SETUP)
    camera = Camera3D((41, 41), SETUP.pixel_um, (0.0,), True, SETUP.bead_um)
    sigma = expected.lateral_um / 2.355 / SETUP.pixel_um
    rows = []
    for apart in (1.0, 1.5, 2.0, 3.0):
        other = camera.image(SETUP.optics, position_um=(0.0, 0.0, apart * expected.lateral_um))
        both = 1e5 * (camera.image(SETUP.optics) + 0.1 * other)[0]
        shift = fit_gaussian(both, 20, 20, sigma)[1] * SETUP.pixel_um / expected.lateral_um
        rows.append({"apart_fwhm": apart, "centre_moves_percent_of_fwhm": 100 * shift})
        print(rows[-1])
    return rows


def missing_term() -> dict[str, Any]:
    """χ² where a tenth of a wave of spherical aberration is not among the terms."""
    aberrations = {**bead_field.ABERRATIONS, 11: 52.0}
    stack = bead_field.render(bead_field.beads(3, 3, 15000.0, 0), 3, 3, aberrations_nm=aberrations)
    found = measure_psf([stack], SETUP, replace(SETTINGS, terms=(5, 6, 7, 8)))
    return {"chi2": found.fit.chi2, "verdict": found.fit.verdict}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=60)
    chosen = parser.parse_args()
    parts = {"moving_spots": moving_spots(), "pulled_centres": pulled_centres(),
             "missing_spherical_52_nm": missing_term(),
             "coverage": coverage(chosen.draws)}  # fmt: skip
    print(parts)
    save("psf", parts)

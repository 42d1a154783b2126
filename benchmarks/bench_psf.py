"""`simcal psf` on simulated beads: bias and coverage of what it reports, and its thresholds.

    python benchmarks/bench_psf.py [--draws 8]

Prints, over noise draws: pulls of the Zernike coefficients, errors of widths and positions, χ²;
then how far aberrations move a spot through focus, and how far a neighbour pulls a bead's centre.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "helpers"))
import bead_field

from calibration.psf.detect import fit_gaussian
from calibration.psf.expected import expected_widths
from calibration.psf.fit import planes_um
from calibration.psf.measure import measure_psf
from calibration.psf.settings import BeadSetup, PsfSettings
from calibration.psf.width import psf_widths
from simrecon.model.optics import Optics
from simrecon.physics.bead_image import Camera3D

SETUP = BeadSetup(bead_field.PIXEL_UM, bead_field.DZ_UM, bead_field.OPTICS, bead_field.BEAD_UM)
SETTINGS = PsfSettings(window_um=2.1)
PITCHES = (SETUP.dz_um or 0.0, SETUP.pixel_um, SETUP.pixel_um)


def coverage(draws: int) -> None:
    """Nine beads of about 1000 photo-electrons at the peak, aberrated, `draws` times."""
    pulls, errors, chi2, widths, places = [], [], [], [], []
    for seed in range(draws):
        beads = bead_field.beads(3, 3, 15000.0, seed)
        stack = bead_field.render(beads, 3, 3, seed=seed)
        found = measure_psf([stack], SETUP, SETTINGS)
        fit = found.fit
        for j, value in fit.aberrations_nm.items():
            errors.append(value - bead_field.ABERRATIONS.get(j, 0.0))
            pulls.append(errors[-1] / fit.aberrations_sd_nm[j])
        chi2.append(fit.chi2)
        planes, side = found.aligned.mean.shape[:2]
        place = tuple(fit.values[n] for n in ("z_um", "y_um", "x_um"))
        exact = Camera3D((side, side), SETUP.pixel_um, planes_um(planes, SETUP), True,
                         SETUP.bead_um).image(SETUP.optics, position_um=place,
                                              aberrations_nm=bead_field.ABERRATIONS)  # fmt: skip
        guesses = (found.expected.axial_um, *[found.expected.lateral_um] * 2)
        truth = np.array(psf_widths(exact, PITCHES, guesses).gaussian)
        widths.append(np.array(found.widths.gaussian) / truth - 1.0)
        true = np.array([b.position_um for b in beads]) / PITCHES
        off = np.array([min(found.aligned.positions_px - t, key=lambda e: np.hypot(e[1], e[2]))
                        for t in true])  # fmt: skip
        places.append(off - off.mean(axis=0))
        print(f"draw {seed}: {len(found.used)} beads, χ² {fit.chi2:.3f}, scatter "
              f"{found.aligned.scatter:.3f}, gain {found.noise.gain:.2f}")  # fmt: skip
    print(f"Zernike: pull rms {np.sqrt(np.mean(np.square(pulls))):.2f}, largest "
          f"{np.max(np.abs(pulls)):.2f}; error rms {np.sqrt(np.mean(np.square(errors))):.3f} nm, "
          f"largest {np.max(np.abs(errors)):.3f} nm")  # fmt: skip
    worst = 100 * np.abs(widths).max(axis=0)
    print(f"FWHM, largest error in % (z, y, x): {worst[0]:.2f} {worst[1]:.2f} {worst[2]:.2f}")
    rms = np.sqrt(np.mean(np.square(np.concatenate(places)), axis=0))
    print(f"position error rms in px (z, y, x): {rms[0]:.4f} {rms[1]:.4f} {rms[2]:.4f}")
    print(f"reduced χ²: {min(chi2):.3f} to {max(chi2):.3f}")


def moving_spots() -> None:
    """Sideways motion through the depth of focus under 0.1 wave rms of some aberrations."""
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
            print(f"NA {optics.na:g}, Noll {terms}: moves {moved:.3f} lateral FWHM")


def pulled_centres() -> None:
    """Shift of a fitted centre by a neighbour of a tenth of the bead's light."""
    expected = expected_widths(SETUP)
    camera = Camera3D((41, 41), SETUP.pixel_um, (0.0,), True, SETUP.bead_um)
    sigma = expected.lateral_um / 2.355 / SETUP.pixel_um
    for apart in (1.0, 1.5, 2.0, 3.0):
        other = camera.image(SETUP.optics, position_um=(0.0, 0.0, apart * expected.lateral_um))
        both = 1e5 * (camera.image(SETUP.optics) + 0.1 * other)[0]
        shift = fit_gaussian(both, 20, 20, sigma)[1] * SETUP.pixel_um / expected.lateral_um
        print(
            f"neighbour of 10 % {apart:g} FWHM away: centre moves {100 * shift:.2f} % of the FWHM"
        )


def missing_term() -> None:
    """χ² where a tenth of a wave of spherical aberration is not among the terms."""
    aberrations = {**bead_field.ABERRATIONS, 11: 52.0}
    stack = bead_field.render(bead_field.beads(3, 3, 15000.0, 0), 3, 3, aberrations_nm=aberrations)
    found = measure_psf([stack], SETUP, replace(SETTINGS, terms=(5, 6, 7, 8)))
    print(f"0.1 wave of spherical not fitted: χ² {found.fit.chi2:.2f}, {found.fit.verdict}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=8)
    chosen = parser.parse_args()
    moving_spots()
    pulled_centres()
    missing_term()
    coverage(chosen.draws)

"""Measure the PSF of an aberrated microscope from simulated beads, and see what it is good for.

    python examples/psf_calibration.py [psf_calibration.png]

Beads are simulated with astigmatism, coma and spherical aberration; some touch, one is saturated.
The measured PSF then serves to reconstruct SIM frames that the same objective has taken.
"""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
from matplotlib.figure import Figure

from calibration.psf.measure import PsfMeasurement, measure_psf
from calibration.psf.report import to_text
from calibration.psf.settings import BeadSetup, PsfSettings
from simrecon import reconstruct, simulate
from simrecon.model.optics import Optics
from simrecon.model.psf import GridOTF
from simrecon.physics.bead_image import Camera3D
from simrecon.physics.otf import otf_from_psf
from simrecon.physics.simulate_beads import Bead, simulate_beads
from simrecon.qc.metrics import nrmse

OPTICS = Optics(na=1.2, emission_nm=520.0, immersion_index=1.33, excitation_nm=488.0)
ABERRATIONS = {5: 25.0, 7: 30.0, 8: -20.0, 11: 30.0}  # Noll index: nm rms
SETUP = BeadSetup(pixel_um=0.1, dz_um=0.25, optics=OPTICS, bead_um=0.1)


def bead_stack() -> np.ndarray:
    """A field of 4 x 4 beads; two touch, one is saturated."""
    rng = np.random.default_rng(0)
    beads = []
    for i in range(4):
        for j in range(4):
            y, x = np.add((22 + 34 * i, 22 + 34 * j), rng.uniform(-0.5, 0.5, 2))
            z = 1.5 + rng.uniform(-0.1, 0.1)
            beads.append(Bead((float(z), 0.1 * float(y), 0.1 * float(x)), 20000.0))
    z, y, x = beads[6].position_um
    beads.append(Bead((z, y + 0.6, x), 20000.0))
    beads[9] = replace(beads[9], flux_e=120000.0)
    return simulate_beads(beads, shape=(13, 146, 146), pixel_um=0.1, dz_um=0.25, optics=OPTICS,
                          aberrations_nm=ABERRATIONS, bit_depth=12, window_px=45)  # fmt: skip


def reconstructions(found: PsfMeasurement) -> dict[str, tuple[np.ndarray, float]]:
    """SIM pictures with the theoretical, the measured and the true OTF; error against the truth."""
    exact = Camera3D((65, 65), 0.1, (0.0,)).image(OPTICS, aberrations_nm=ABERRATIONS)[0]
    true = GridOTF(exact / exact.sum(), 0.1, OPTICS.cutoff_per_um)
    stack, truth = simulate(shape=(128, 128), pixel_um=0.1, optics=OPTICS, otf=true, period_um=0.26,
                            peak_e=1000.0, seed=3)  # fmt: skip
    psf = found.psf()
    plane = psf[psf.max(axis=(1, 2)).argmax()]
    measured = otf_from_psf(plane, 0.1, cutoff_per_um=OPTICS.cutoff_per_um)
    out = {}
    for name, otf in (("theoretical OTF", None), ("measured OTF", measured), ("true OTF", true)):
        picture = reconstruct(stack, otf=otf, pattern=truth.pattern).image[0, 0, 0]
        out[name] = (picture, nrmse(picture, truth.object_e, margin_px=8))
    return out


def draw(found: PsfMeasurement, pictures: dict[str, tuple[np.ndarray, float]], path: str) -> None:
    """Beads, mean, fit, coefficients above; reconstructions below."""
    figure = Figure(figsize=(11, 7.2), layout="constrained")
    top, bottom = figure.subfigures(2, 1, height_ratios=(1.0, 1.15))
    mean, model = found.aligned.mean, found.fit.model
    axes = top.subplots(1, 4, width_ratios=(1, 1, 1, 1.6))
    residual = (mean - model) / found.aligned.standard_error
    middle = mean.shape[1] // 2
    for axis, name, section, colours, limits in (
        (axes[0], "mean bead (xz)", np.sqrt(np.maximum(mean, 0) / mean.max()), "magma", (0, 1)),
        (axes[1], "fitted pupil", np.sqrt(np.maximum(model, 0) / model.max()), "magma", (0, 1)),
        (axes[2], "residual / sd", residual, "RdBu_r", (-5, 5)),
    ):
        axis.imshow(section[:, middle], cmap=colours, vmin=limits[0], vmax=limits[1], aspect=2.5)
        axis.set_title(name, fontsize=9)
        axis.set_axis_off()
    named = found.fit.named()
    place = np.arange(len(named))
    axes[3].barh(place, [v["rms_nm"] for v in named.values()], color="#5b8db8", label="fitted")
    truth = [ABERRATIONS.get(int(v["noll"]), 0.0) for v in named.values()]
    axes[3].plot(truth, place, "k|", ms=12, mew=2, label="true")
    axes[3].set_yticks(place, list(named), fontsize=7)
    axes[3].invert_yaxis()
    axes[3].set_xlabel("rms wavefront / nm", fontsize=8)
    axes[3].tick_params(axis="x", labelsize=7)
    axes[3].legend(fontsize=7, frameon=False)
    high = float(np.percentile(pictures["true OTF"][0], 99.7))
    for axis, (name, (picture, error)) in zip(bottom.subplots(1, 3), pictures.items(), strict=True):
        axis.imshow(picture[60:200, 60:200], cmap="gray", vmin=0, vmax=high)
        axis.set_title(f"SIM, {name}: error {error:.4f}", fontsize=9)
        axis.set_axis_off()
    figure.savefig(path, dpi=130)


if __name__ == "__main__":
    stack = bead_stack()
    found = measure_psf([stack], SETUP, PsfSettings(window_um=2.3))
    print(to_text(found))
    pictures = reconstructions(found)
    for name, (_, error) in pictures.items():
        print(f"{name}: nrmse {error:.4f}")
    target = sys.argv[1] if len(sys.argv) > 1 else "psf_calibration.png"
    draw(found, pictures, target)
    print(f"wrote {target}")

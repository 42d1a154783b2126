"""Measure the OTFs of three-beam SIM from simulated beads, and see what they are good for.

    python examples/otf_calibration.py [otf_calibration.png]

An objective with spherical aberration, which theory does not know, records beads with five phases.
The OTFs of the three orders that come out then serve to reconstruct a volume of the same objective.
"""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
from matplotlib.figure import Figure

from calibration.otf.measure import OtfMeasurement, measure_otf
from calibration.otf.report import to_text
from calibration.otf.settings import OtfSettings
from calibration.psf.settings import BeadSetup, PsfSettings
from simrecon import pipeline
from simrecon.config import build_settings
from simrecon.model.psf import GridVolumeOTF
from simrecon.physics.otf_volume import evaluate_volume_otf
from simrecon.physics.pupil_volume import pupil_volume_otf, three_beam_profiles
from simrecon.physics.simulate_beads import Bead
from simrecon.physics.simulate_sim_beads import lit_beads, simulate_sim_beads
from simrecon.physics.simulate_volume import LATTICE, OPTICS_3D, simulate_volume
from simrecon.physics.simulate_volume_light import light_of, lit_directions
from simrecon.physics.theory_volume import theoretical_volume_otf
from simrecon.qc.metrics import nrmse

PIXEL_UM, DZ_UM, BEAD_UM = 0.08, 0.125, 0.1
ABERRATIONS = {11: 60.0}  # Noll index: nm rms


def bead_frames(otf: GridVolumeOTF) -> np.ndarray:
    """Six beads, one direction, five phases with errors of 3 degrees, 21 planes."""
    rng = np.random.default_rng(0)
    frequency, contrast, _ = light_of("3d", OPTICS_3D, LATTICE, 0.0)
    directions = lit_directions(rng, 1, 5, frequency, contrast=contrast, first_angle_rad=0.25,
                                phase_step_um=None, phase_jitter_rad=0.05)  # fmt: skip
    beads = []
    for i in range(6):
        y, x = np.add((2.3 + 3.8 * (i % 2), 2.3 + 3.8 * (i // 2)), rng.uniform(-0.3, 0.3, 2))
        beads.append(Bead((1.25 + float(rng.uniform(-0.06, 0.06)), float(y), float(x)),
                          float(rng.normal(1.0, 0.1))))  # fmt: skip
    beads = lit_beads(beads, 1500.0, otf, pixel_um=PIXEL_UM, dz_um=DZ_UM, bead_um=BEAD_UM)
    return simulate_sim_beads(beads, directions, otf, shape=(21, 104, 154), pixel_um=PIXEL_UM,
                              dz_um=DZ_UM, bead_um=BEAD_UM, background_e=5.0)  # fmt: skip


def volumes(found: OtfMeasurement, true: GridVolumeOTF) -> dict[str, tuple[np.ndarray, float]]:
    """Reconstructions with each OTF, and how far they are from that with the true one."""
    stack, truth = simulate_volume(mode="3d", shape=(9, 72, 72), pixel_um=PIXEL_UM, dz_um=DZ_UM,
                                   optics=OPTICS_3D, otf=true, kind="tubes", peak_e=1000.0,
                                   seed=3)  # fmt: skip
    settings = build_settings(("example", {"mode": "3d", "variance": False}))
    pattern = replace(truth.pattern, verdict="ok")
    out: dict[str, tuple[np.ndarray, float]] = {}
    otfs = {"true": true, "measured": found.otf(),
            "theoretical": theoretical_volume_otf(OPTICS_3D, pixel_um=PIXEL_UM)}  # fmt: skip
    for name, otf in otfs.items():
        picture = pipeline.reconstruct(stack, settings, otf=otf, pattern=pattern).image[0, 0]
        best = out["true"][0] if out else picture
        out[name] = (picture, nrmse(picture[4], best[4], margin_px=10))
    return out


def draw(
    found: OtfMeasurement, pictures: dict[str, tuple[np.ndarray, float]], path: str
) -> None:  # fmt: skip
    """Orders of a bead and their OTFs above; reconstructions below."""
    figure = Figure(figsize=(11, 7.4), layout="constrained")
    top, bottom = figure.subfigures(2, 1, height_ratios=(1.0, 1.1))
    axes = top.subplots(2, 4)
    orders, middle = found.separations[0].orders, found.separations[0].orders.shape[2] // 2
    kz, kr = np.linspace(-3.2, 3.2, 121), np.linspace(0.0, 5.5, 121)
    for m in range(3):
        section = orders[m, :, middle].real
        high = float(np.abs(section).max())
        axes[0, m].imshow(section, cmap="RdBu_r", vmin=-high, vmax=high, aspect=DZ_UM / PIXEL_UM)
        axes[0, m].set_title(f"order {m} of the mean bead, xz", fontsize=9)
        axes[0, m].set_axis_off()
        value = np.abs(evaluate_volume_otf(found.otf(), m, kz[:, None, None], np.zeros((1, 1, 1)),
                                           kr[None, None]))[:, 0]  # fmt: skip
        axes[1, m].imshow(np.log10(np.maximum(value / value.max(), 1e-4)), origin="lower",
                          aspect="auto", extent=(0.0, 5.5, -3.2, 3.2))  # fmt: skip
        axes[1, m].set_xlabel("kr / µm⁻¹", fontsize=8)
        axes[1, m].set_title(f"OTF of order {m}, log", fontsize=9)
    light = found.light
    z = np.linspace(-1.4, 1.4, 200)
    for m in range(3):
        axes[0, 3].plot(light.distance_um, light.each[0, m].real, ".", ms=4, color=f"C{m}")
        axes[0, 3].plot(z, light.profiles.at(z)[m].real, lw=0.8, color=f"C{m}", label=f"order {m}")
    axes[0, 3].set_title("light along z / µm", fontsize=9)
    axes[0, 3].legend(fontsize=7, frameon=False)
    steps = np.degrees(found.separations[0].step_rad)
    axes[1, 3].bar(np.arange(steps.size), steps - 72.0 * np.arange(steps.size))
    axes[1, 3].set_title("phase steps beside equal ones / °", fontsize=9)
    high = float(np.percentile(pictures["true"][0][4], 99.7))
    for axis, (name, (picture, error)) in zip(bottom.subplots(1, 3), pictures.items(), strict=True):
        axis.imshow(picture[4, 12:132, 12:132], cmap="gray", vmin=0, vmax=high)
        said = "" if name == "true" else f", {100 * error:.0f} % from it"
        axis.set_title(f"3D-SIM, {name} OTF{said}", fontsize=9)
        axis.set_axis_off()
    figure.savefig(path, dpi=130)


if __name__ == "__main__":
    true = pupil_volume_otf(OPTICS_3D, three_beam_profiles(OPTICS_3D), pixel_um=PIXEL_UM,
                            dz_um=DZ_UM, aberrations_nm=ABERRATIONS, reach_um=2.5)  # fmt: skip
    settings = OtfSettings("3d", psf=PsfSettings(terms=(11,)))
    found = measure_otf([bead_frames(true)], BeadSetup(PIXEL_UM, DZ_UM, OPTICS_3D, BEAD_UM),
                        settings)  # fmt: skip
    print(to_text(found))
    pictures = volumes(found, true)
    for name, (_, error) in pictures.items():
        print(f"{name} OTF: {100 * error:.1f} % from the picture with the true one")
    target = sys.argv[1] if len(sys.argv) > 1 else "otf_calibration.png"
    draw(found, pictures, target)
    print(f"wrote {target}")

"""An objective that changes over the weeks, and the record that notices.

    python examples/record_check.py [record_check.png]

An OTF is measured from SIM beads and kept as a record. Later beads of the same microscope are held
against it, as `simcal check otf.h5 beads.ome.tif --beads` does: first nothing has changed, then
the objective has spherical aberration and the pattern has lost contrast, more and more.
"""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
from matplotlib.figure import Figure

from calibration.bead_check import LEAST_CONTRAST, OTF_FAILED, OTF_WEAK, check_otf_beads
from calibration.data_check import Finding
from calibration.otf.measure import OtfMeasurement, measure_otf
from calibration.otf.report import to_record
from calibration.otf.settings import OtfSettings
from calibration.psf.settings import BeadSetup
from calibration.record import worst
from simrecon.model.optics import Optics
from simrecon.physics.illumination import regular_directions
from simrecon.physics.pupil_volume import pupil_planar_otf
from simrecon.physics.simulate_beads import scattered_beads
from simrecon.physics.simulate_sim_beads import lit_beads, simulate_sim_beads

PIXEL_UM, BEAD_UM, SIDE = 0.065, 0.1, 160
OPTICS = Optics(1.4, 525.0, excitation_nm=488.0)
WEEKS = ((0.0, 0.8), (0.0, 0.8), (45.0, 0.65), (80.0, 0.5))
"""Spherical aberration, nm rms, and contrast; the first is the record's."""
COLOURS = {"ok": "C2", "weak": "C1", "failed": "C3"}


def recording(spherical_nm: float, contrast: float, seed: int) -> np.ndarray:
    """Frames (A, P, 1, Y, X) of some nine beads."""
    otf = pupil_planar_otf(OPTICS, pixel_um=PIXEL_UM, aberrations_nm={11: spherical_nm})
    directions = regular_directions(np.random.default_rng(seed), directions=1, phases=3,
                                    period_um=0.22, modulation=(contrast,), first_angle_rad=0.3,
                                    phase_jitter_rad=0.03)  # fmt: skip
    beads = scattered_beads((1, SIDE, SIDE), pixel_um=PIXEL_UM, dz_um=0.1, optics=OPTICS,
                            bead_um=BEAD_UM, peak_e=1.0, spacing_um=2.8, seed=seed)  # fmt: skip
    beads = [replace(b, position_um=(0.0, *b.position_um[1:])) for b in beads]
    beads = lit_beads(beads, 1500.0, otf, pixel_um=PIXEL_UM, bead_um=BEAD_UM)
    return simulate_sim_beads(beads, directions, otf, shape=(1, SIDE, SIDE), pixel_um=PIXEL_UM,
                              dz_um=None, bead_um=BEAD_UM, background_e=5.0, seed=seed)  # fmt: skip


def draw(found: list[OtfMeasurement], checks: list[list[Finding]], path: str) -> None:
    """OTFs of the weeks, and what the check says of each."""
    figure = Figure(figsize=(11, 3.8), layout="constrained")
    curve, change, contrast = figure.subplots(1, 3, width_ratios=(1.4, 1.0, 1.0))
    for week, (one, check) in enumerate(zip(found, [[], *checks], strict=True)):
        values = np.real(one.table.values[0, :, 0])
        k = one.table.kr_step_per_um * np.arange(values.size)
        verdict = worst(*(f.verdict for f in check if f.verdict is not None))
        colour, name = (COLOURS[verdict], f"week {week}: {verdict}") if week else ("k", "record")
        curve.plot(k, values, color=colour, ls="--" if week else "-", label=name)
        for axes, finding in zip((change, contrast), check, strict=False):
            number = float(next(t for t in finding.text.split() if t[0].isdigit()))
            axes.bar(week, number, color=COLOURS[finding.verdict or "ok"], width=0.6)
    curve.set(xlim=(0.0, 1.05 * OPTICS.cutoff_per_um), xlabel="frequency, cycles/µm", ylabel="H")
    curve.legend(frameon=False)
    for level in (OTF_WEAK, OTF_FAILED):
        change.axhline(100.0 * level, color="0.5", lw=0.8, ls=":")
    contrast.axhline(LEAST_CONTRAST, color="0.5", lw=0.8, ls=":")
    change.set(title="change of the OTF, % rms", xlabel="week", xticks=range(1, len(found)))
    contrast.set(title="contrast over the record's", xlabel="week", xticks=range(1, len(found)))
    figure.savefig(path, dpi=130)


if __name__ == "__main__":
    setup = BeadSetup(PIXEL_UM, None, OPTICS, BEAD_UM)
    frames = [recording(*week, seed) for seed, week in enumerate(WEEKS)]
    found = [measure_otf([f], setup, OtfSettings("2d")) for f in frames]
    record = to_record(found[0], instrument="simulated", sources=(), provenance={})
    checks = [check_otf_beads(record, [f], setup) for f in frames[1:]]
    for week, check in enumerate(checks, start=1):
        for finding in check:
            print(f"week {week}, {finding.name}: {finding.verdict}, {finding.text}")
    target = sys.argv[1] if len(sys.argv) > 1 else "record_check.png"
    draw(found, checks, target)
    print(f"wrote {target}")

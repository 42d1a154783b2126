"""Calibrate a camera whose truth is known, and see how close one comes.

    python examples/camera_calibration.py [FOLDER]

1. Take frames: 500 with the camera capped, and 125 at each of four levels of even light from a
   lamp that flickers by 2 %. Here a simulated sensor takes them; ``simrecon simulate --kind
   dark|flat`` does the same from the command line.
2. Calibrate: what ``simcal camera --dark dark.tif --flat flat_50.tif … -o cam.h5 --report`` does.
3. Compare with the truth, which a real camera does not tell.
4. Cap the camera again later, when its offset has moved by one read noise, and ask whether the
   record still holds: ``simcal check cam.h5 later.tif --dark``.

It takes half a minute and leaves cam.h5 and the figure camera_calibration.png in FOLDER.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from calibration.camera import calibrate_camera
from calibration.camera_figures import camera_figure
from calibration.data_check import check_age, check_camera
from simrecon.io import write_record
from simrecon.io.frame_stream import write_frames
from simrecon.model.camera import Camera
from simrecon.physics.simulate_camera import sensor

SHAPE = (128, 128)
TRUTH = Camera(gain=2.2, offset=100.0, read_noise_e=1.5)
LEVELS_E = (50, 200, 500, 1000)


def take_frames(folder: Path) -> tuple[Path, list[Path]]:
    """Dark and flat stacks as TIFF files."""
    chip, rng = sensor(SHAPE, TRUTH), np.random.default_rng(1)
    dark = folder / "dark.tif"
    write_frames(dark, chip.frames(0, 500, rng), (500, *SHAPE), provenance={})
    flats = []
    for light_e in LEVELS_E:
        flats.append(folder / f"flat_{light_e}.tif")
        frames = chip.frames(light_e, 125, rng, flicker=0.02)
        write_frames(flats[-1], frames, (125, *SHAPE), provenance={})
    return dark, flats


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "camera_example")
    folder.mkdir(parents=True, exist_ok=True)
    dark, flats = take_frames(folder)
    record, found = calibrate_camera(
        dark, flats, instrument="simulated", conditions={"readout": "slow"}, exposures=LEVELS_E
    )
    write_record(folder / "cam.h5", record)
    camera_figure(found).savefig(folder / "camera_calibration.png", dpi=110)

    gain, read = record.results["gain"], record.results["read_noise"]
    print(f"verdict     {record.verdict}")
    print(f"gain        {gain['value']:.4f} ± {gain['sd']:.4f} ADU/e (truth {TRUTH.gain})")
    print(f"read noise  {read['rms']:.4f} ± {read['rms_sd']:.4f} e (truth {TRUTH.read_noise_e})")
    chip = sensor(SHAPE, TRUTH)
    error = record.quantities["offset"].value - chip.camera.offset
    stated = float(np.median(record.quantities["offset"].sd))
    print(f"offset      off by {np.std(error[found.mask == 0]):.3f} ADU rms, stated {stated:.3f}")
    hot = int(np.count_nonzero(np.asarray(chip.camera.read_noise_e) > 10))
    print(f"bad pixels  {np.count_nonzero(found.mask)} found (truth {hot})")
    for note in record.notes:
        print(f"note        {note}")

    later = np.stack(list(chip.frames(0, 50, np.random.default_rng(2)))) + 3.3
    for finding in (
        check_age(record, datetime.now(UTC).date()),
        *check_camera(record, iter(later), {}, dark=True),
    ):
        print(f"later       {finding.name}: {finding.verdict}, {finding.text}")


if __name__ == "__main__":
    main()

"""Frame order: how often it is found, said to be certain, and wrong, over simulated stacks.

One plane: PA and AP, 3 × 3, 3 × 5, 5 × 5, 5 × 3 and 4 × 3 frames, four kinds of object, 1000 to 20
photo-electrons at the peak. Four planes: every order of angle, phase and plane (in front, between,
behind), 3 × 3 frames, two kinds of object, 1000 and 100 photo-electrons. Phase steps are jittered
by 10°. The numbers of directions, phases and planes are not told. Two-beam patterns.

    python benchmarks/bench_order.py
"""

from __future__ import annotations

import argparse
from itertools import permutations

import numpy as np
from common import save

from simrecon.estimate.order import explain
from simrecon.grouping import group_frames
from simrecon.model.frames import RawFrames
from simrecon.physics.phantoms import make_phantom
from simrecon.physics.simulate import DEFAULT_OPTICS, fine_field, simulate

KINDS = ("filaments", "rings", "blobs", "beads")
COUNTS = ((3, 3), (3, 5), (5, 5), (5, 3), (4, 3))
PEAKS_E = (1000.0, 100.0, 30.0, 20.0)
PLANES = 4


def stack(kind: str, counts: tuple[int, int], planes: int, peak_e: float, seed: int) -> np.ndarray:
    """Frames (A, P, Z, Y, X): one pattern, another object in every plane."""
    angles, phases = counts
    out = []
    for z in range(planes):
        field = fine_field((128, 128), 0.065)
        scene = make_phantom(kind, field.grid, np.random.default_rng([seed, z]))
        data, _ = simulate(
            shape=(128, 128), optics=DEFAULT_OPTICS, peak_e=peak_e, directions=angles,
            phases=phases, phase_jitter_rad=np.radians(10), intensity_jitter=0.03, seed=seed,
            noise_seed=100 * seed + z, fine_object=scene,
        )  # fmt: skip
        out.append(np.asarray(data.data)[0, 0, :, :, 0])
    return np.stack(out, axis=2)


def judged(frames: np.ndarray, order: str, counts: tuple[int, int]) -> dict[str, object]:
    """Write the frames in `order`, forget everything, and ask."""
    letters = order if frames.shape[2] > 1 else order.replace("Z", "") + "Z"
    sequence = frames.transpose(*("APZ".index(c) for c in reversed(letters)), 3, 4)
    sequence = sequence.reshape(-1, *frames.shape[-2:])
    grouping = group_frames(RawFrames(sequence, (("S", len(sequence)),)))
    best, rest = grouping.rows[0], grouping.rows[1:]
    wanted = order if frames.shape[2] > 1 else order.replace("Z", "")
    # planes that vary slowest cannot be told from time points
    names = {wanted, wanted.removesuffix("Z")}
    right = best.order in names and (best.angles, best.phases) == counts
    others = max((r.explained for r in rest), default=0.0)
    return {
        "right": right, "decided": explain(grouping.rows)[1], "explained": best.explained,
        "next": others, "strength": best.marks.strength,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1)
    args = parser.parse_args()
    table: dict[str, dict[str, float]] = {}
    for planes in (1, PLANES):
        orders = ["".join(o) for o in permutations("PAZ")] if planes > 1 else ["PAZ", "APZ"]
        for peak_e in PEAKS_E if planes == 1 else PEAKS_E[:2]:
            found = []
            for counts in COUNTS if planes == 1 else COUNTS[:1]:
                for number, kind in enumerate(KINDS if planes == 1 else KINDS[:2]):
                    for seed in range(args.seeds):
                        frames = stack(kind, counts, planes, peak_e, 1000 * seed + number)
                        found += [judged(frames, order, counts) for order in orders]
            table[f"{planes} planes, {peak_e:g} e"] = {
                "stacks": len(found),
                "right": float(np.mean([f["right"] for f in found])),
                "decided": float(np.mean([f["decided"] for f in found])),
                "decided and wrong": int(sum(f["decided"] and not f["right"] for f in found)),
                "explained, 5th percentile": float(
                    np.percentile([f["explained"] for f in found], 5)
                ),
                "next order, 95th percentile": float(np.percentile([f["next"] for f in found], 95)),
                "strength, median": float(np.median([f["strength"] for f in found])),
            }
            name = f"{planes} planes, {peak_e:g} e"
            print(name, table[name], flush=True)
            save("order", table)


if __name__ == "__main__":
    main()

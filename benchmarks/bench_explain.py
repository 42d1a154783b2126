"""Explained artefacts: one fault at a time, and which cause is named first, or at all.

Twenty situations (one without fault) on simulated frames, 192², 3 × 3, with the objects in turn.
The explanation is asked for whether or not a gate was passed. The rules were set on seeds 0, 1 and
3 (tests); the seeds here are others.

    python benchmarks/bench_explain.py
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from common import save, table

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "helpers"))
from faults import FAULTS, causes

KINDS = ("mixed", "filaments", "rings")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3, help="runs per fault")
    parser.add_argument("--first", type=int, default=21, help="the first seed")
    args = parser.parse_args()
    rows: list[list[Any]] = []
    results: dict[str, Any] = {}
    runs = [(args.first + n, KINDS[n % len(KINDS)]) for n in range(args.seeds)]
    for name in FAULTS:
        first: Counter[str] = Counter()
        named: Counter[str] = Counter()
        gates = 0
        for seed, kind in runs:
            found, passed = causes(name, seed, kind)
            first[found[0] if found else "nothing"] += 1
            named.update(set(found[1:]))
            gates += not passed
        results[name] = {"runs": len(runs), "first": first, "also": named, "gate not passed": gates}
        rows.append([name, len(runs), gates, dict(first), dict(named)])
        print(rows[-1], flush=True)
    print(table(["fault", "runs", "a gate failed", "named first", "also named"], rows))
    save("explain", {"seeds and objects": runs, "faults": results})


if __name__ == "__main__":
    main()

"""Writes Priism MRC files word by word, from the format's description (not with our reader)."""

import struct
from pathlib import Path

import numpy as np


def make_mrc(
    path: Path,
    samples: np.ndarray,
    *,
    mode: int,
    endian: str = "<",
    spacing=(0.0626, 0.0626, 0.16),
    wave: int = 525,
    waves: int = 1,
    times: int = 1,
    sequence: int = 0,
    titles=(),
    extended: bytes = b"",
    lens: int = 0,
    n1n2=(0, 0),
    cut: int = 0,
) -> Path:
    ns, ny, nx = samples.shape
    header = bytearray(1024)

    def put(offset: int, code: str, *values) -> None:
        struct.pack_into(endian + code, header, offset, *values)

    put(0, "4i", nx, ny, ns, mode)
    put(28, "3i", 1, 1, 1)
    put(40, "3f", *spacing)
    put(52, "3f", 90, 90, 90)
    put(64, "3i", 1, 2, 3)
    put(92, "i", len(extended))
    put(96, "h", -16224)
    put(162, "h", lens)
    put(164, "2h", *n1n2)
    put(180, "2h", times, sequence)
    put(196, "2h", waves, wave)
    if waves > 1:
        put(200, "h", wave + 80)
    put(220, "i", len(titles))
    for i, title in enumerate(titles):
        header[224 + 80 * i : 224 + 80 * i + len(title)] = title.encode()
    kind = {0: "u1", 1: "i2", 2: "f4", 4: "c8", 6: "u2"}[mode]
    body = samples.astype(f"{endian}{kind}").tobytes()
    content = bytes(header) + extended + body
    path.write_bytes(content[: len(content) - cut])
    return path

"""``zsdeconv info``: what a model is."""

from __future__ import annotations

from pathlib import Path

from simrecon.shell import EXIT_OK, Reporter


def info(model: Path, /, *, json: bool = False) -> int:
    """Say what a model is and what it was trained on.

    Parameters
    ----------
    model
        The model/ folder of an enhancement (or the folder that holds it).
    json
        Write one JSON document to standard output.
    """
    from zsdeconv.checkpoint import model_folder, read_model

    tensors, facts = read_model(model_folder(model))
    settings = facts["settings"]
    lines = [
        f"network: {settings['network']}, {facts['parameters']:,} parameters "
        f"in {len(tensors)} tensors",
        f"trained: {facts['iterations']} steps in {facts['training_s']:.0f} s, "
        f"loss {settings['loss']}, seed {settings['seed']}",
        f"output pixel: {facts['pixel_um'] * 1000:.2f} nm, scale {facts['scale']:.4g} e",
        f"data: sha256 {facts['data'][:16]}…",
    ]
    if facts.get("start_only"):
        lines.append("its network lost against the classical start, which alone is used")
    imaging = facts.get("imaging")
    if imaging is not None:
        camera = imaging["camera"]
        lines += [
            f"pictures: {facts['pictures']}, {imaging['microscope']}, NA {imaging['na']:g}, "
            f"{imaging['emission_nm']:g} nm, PSF {imaging['psf_source']}",
            f"camera ({camera['source']}): gain {camera['gain']:.4g}, offset "
            f"{camera['offset']:.4g}, read noise {camera['read_noise_e']:.3g} e",
            imaging["noise_colour"],
            *([imaging["fixed_pattern"]["said"]] if "fixed_pattern" in imaging else []),
            f"limits: pictures of {facts['pixel_um'] * 1000:.2f} nm pixels and "
            f"{imaging['emission_nm']:g} nm emission, up to about "
            f"{facts['scale']:.4g} e per pixel",
            *(f"doubt: {d}" for d in imaging["doubts"]),
        ]
    Reporter(json).finish(facts, "\n".join(lines))
    return EXIT_OK

"""What a newcomer runs first is trusted: its linear picture passes every check."""

import pytest

from simrecon.config import build_settings
from simrecon.pipeline import reconstruct
from zsdeconv.demo import simulate_scene


@pytest.mark.parametrize("seed", [0, 1])
def test_the_demo_scene_is_fitted_and_reconstructed_without_doubt(seed):
    result = reconstruct(simulate_scene(seed=seed).stack, build_settings(("test", {})))
    assert [d.verdict for d in result.pattern.directions] == ["ok"] * 3
    assert result.verdicts["overall"] == "ok", result.qc["reasons"]

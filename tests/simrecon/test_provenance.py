import hashlib
import json
import shlex

import numpy as np
import pytest

from simrecon import __version__, provenance
from simrecon.errors import InputError
from simrecon.model.optics import Optics
from simrecon.model.psf import GridOTF
from simrecon.physics.otf import theoretical_otf


def test_file_hash_is_sha256(tmp_path):
    path = tmp_path / "x.bin"
    content = b"abc" * 1_000_000
    path.write_bytes(content)
    assert provenance.sha256_file(path) == hashlib.sha256(content).hexdigest()
    facts = provenance.describe_files([path])[0]
    assert facts["bytes"] == len(content)
    assert facts["path"] == str(path)


def test_missing_file_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        provenance.sha256_file(tmp_path / "nothing")


def test_array_hash_sees_values_shape_and_type():
    a = np.arange(6, dtype=np.float32)
    hashes = {
        provenance.sha256_array(x)
        for x in (
            a,
            a.reshape(2, 3),
            a.astype(np.float64),
            a + 1,
            np.asfortranarray(a.reshape(2, 3)),
        )
    }
    assert len(hashes) == 4  # memory layout does not count, everything else does


def test_otf_description_follows_its_content():
    radial = theoretical_otf(Optics(na=1.4, emission_nm=525.0), model="ideal")
    other = theoretical_otf(Optics(na=1.3, emission_nm=525.0), model="ideal")
    first, second = provenance.describe_otf(radial), provenance.describe_otf(other)
    assert first["kind"] == "RadialOTF"
    assert first["cutoff_per_um"] == pytest.approx(2 * 1.4 / 0.525)
    assert first["sha256"] != second["sha256"]
    grid = GridOTF(np.ones((3, 3)) / 9, 0.1, 5.0, source="beads")
    assert provenance.describe_otf(grid)["source"] == "beads"


def test_replay_command_survives_a_shell():
    arguments = ["reconstruct", "my file*.tif", "-o", "a b.ome.tif", "--set", "x=[1, 2]"]
    text = provenance.replay_command("simrecon", arguments)
    assert shlex.split(text) == ["simrecon", *arguments]


def test_record_is_complete_and_json_ready():
    made = provenance.record(
        settings={"a": 1}, device="cpu: because", seed=7, extra_packages=("torch", "no-such-thing"),
        command="simrecon x",
    )  # fmt: skip
    again = json.loads(json.dumps(made))
    assert again["schema"] == "simrecon/provenance/1"
    assert again["versions"]["simrecon"] == __version__
    assert again["versions"]["numpy"] == np.__version__
    assert again["versions"]["no-such-thing"] == "not installed"
    assert (again["seed"], again["device"], again["command"]) == (7, "cpu: because", "simrecon x")
    assert again["settings"] == {"a": 1}

"""Several processes that train together: torchrun on the CPU."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass

import numpy as np
import pytest
import tifffile
import torch
import world_worker
from processes import start
from world_worker import SETTINGS, picture, weights

from zsdeconv.objective import batch_loss
from zsdeconv.train import fit
from zsdeconv.training import Training, own_patches, prepare
from zsdeconv.world import World, join


def torchrun(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Two processes of one machine."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    program = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    return subprocess.run([*program, "--nproc-per-node", "2", *arguments], env=environment,
                          capture_output=True, text=True, check=False)  # fmt: skip


@dataclass(frozen=True)
class Together(World):
    """This process as both: the gradients of the other one's batches are computed here."""

    other: Training | None = None

    def average_gradients(self, network):
        own = [p.grad.clone() for p in network.parameters()]
        network.zero_grad()
        batch_loss(self.other)[0].backward()
        for p, g in zip(network.parameters(), own, strict=True):
            p.grad = (p.grad + g) / 2
        self.other.iteration += 1


def test_two_processes_take_the_steps_of_both_batches(tmp_path):
    """The same weights in both, and those of one process that averages both batches."""
    done = torchrun(world_worker.__file__, str(tmp_path))
    assert done.returncode == 0, done.stderr
    found = [np.load(tmp_path / f"{rank}.npz") for rank in range(2)]
    run, other = (prepare(picture(), SETTINGS, torch.device("cpu")) for _ in range(2))
    other.sampler.rng = own_patches(SETTINGS.seed, World(1, 2))
    other.network = run.network
    run.world = Together(other=other)
    expected = {k: v.copy() for k, v in weights(fit(run)).items()}
    for name, wanted in expected.items():
        np.testing.assert_array_equal(found[0][name], found[1][name])
        np.testing.assert_allclose(found[0][name], wanted, rtol=0, atol=2e-6)
    alone = weights(fit(prepare(picture(), SETTINGS, torch.device("cpu"))))
    assert max(np.abs(alone[k] - expected[k]).max() for k in alone) > 1e-4
    assert (tmp_path / "state/training.safetensors").is_file()


@dataclass(frozen=True)
class Alike(World):
    """One of two processes, where the other does and hears the same."""

    def average_gradients(self, network):
        pass

    def largest(self, *values):
        return values

    def same(self, number):
        return True


def test_of_several_processes_none_ends_inside_a_step(tmp_path):
    """torchrun sends every Ctrl-C of the terminal once more: the second one waits, too."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    run = prepare(picture(), SETTINGS, torch.device("cpu"))
    run.world = Alike(0, 2)
    real = run.sampler.pairs

    def pairs():
        if run.iteration == 1:
            for _ in range(2):
                os.kill(os.getpid(), signal.SIGINT)
        return real()

    run.sampler.pairs = pairs
    try:
        with pytest.raises(KeyboardInterrupt, match=r"at step 2\..*--resume"):
            fit(run, tmp_path)
    finally:
        signal.signal(signal.SIGINT, before)
    assert (tmp_path / "training.safetensors").is_file()


def test_the_first_process_speaks_and_writes(tmp_path):
    counts = (2.0 * picture().frames_e[0] + 100.0).round().astype(np.uint16)
    tifffile.imwrite(tmp_path / "picture.tif", counts)
    quick = {"iterations": 3, "width": 4, "patch": 48, "bank": 2, "uncertainty_draws": 0,
             "stacking_draws": 0, "held_out_draws": 0, "probes": "false"}  # fmt: skip
    options = ["--pixel-um", "0.05", "--na", "1.4", "--emission-nm", "525", "--gain", "2",
               "--offset", "100", "--read-noise-e", "1", "--device", "cpu",
               *(f"--set=zsdeconv.{k}={v}" for k, v in quick.items())]  # fmt: skip
    program = ["-m", "zsdeconv.cli", "image", str(tmp_path / "picture.tif")]
    done = torchrun(*program, "-o", str(tmp_path / "out"), *options)
    assert done.stdout.count("verdict:") == 1, done.stderr
    assert done.stderr.count("train: 3/3") == 1
    assert (tmp_path / "out/deconvolved.ome.tif").is_file()
    assert (tmp_path / "out/model/model.safetensors").is_file()
    wrong = torchrun(*program, "-o", str(tmp_path / "other"), *options, "--seed", "x")
    assert wrong.returncode == 1
    assert re.search(r"exitcode\s*: 2 ", wrong.stderr)
    alone = {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2",
             "MASTER_ADDR": "localhost", "MASTER_PORT": "1"}  # fmt: skip
    second = start([*program, "-o", str(tmp_path / "other"), *options, "--seed", "x"], alone)
    out, said = second.communicate(timeout=60)
    assert second.returncode == 2
    assert out == ""
    assert said.startswith("process 1, exit code 2:\nerror: Invalid value for --seed")
    assert not (tmp_path / "other").exists()


def test_one_process_is_alone(monkeypatch):
    cpu = torch.device("cpu")
    assert join(cpu) == World(0, 1)
    for key in ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT", "LOCAL_WORLD_SIZE"):
        monkeypatch.setenv(key, "0")
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert join(cpu) == World(0, 1)
    assert World().largest(2.0, -1.0) == (2.0, -1.0)


def test_a_gpu_for_every_process_of_the_machine(monkeypatch):
    from simrecon.errors import UsageError

    for key, value in (
        ("RANK", "0"),
        ("WORLD_SIZE", "4"),
        ("LOCAL_RANK", "0"),
        ("LOCAL_WORLD_SIZE", "4"),
        ("MASTER_ADDR", "x"),
        ("MASTER_PORT", "1"),
    ):
        monkeypatch.setenv(key, value)  # fmt: skip
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(UsageError, match="more processes than GPUs"):
        join(torch.device("cuda:0"))

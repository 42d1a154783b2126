"""The only place where engine arrays (NumPy, CuPy) become torch tensors and return."""

from __future__ import annotations

import os
from pathlib import Path

import array_api_compat
import numpy as np
import torch

from simrecon.backend import Array, Device, usable_cores
from simrecon.errors import DeviceError
from zsdeconv.launch import launch

_CPUINFO = Path("/proc/cpuinfo")
_BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16"}


def select_device(request: str) -> Device:
    """Resolve ``auto``, ``cpu``, ``cuda`` or ``cuda:N`` for training.

    Without a number each process of torchrun has a GPU of its own.

    Raises
    ------
    DeviceError
        When a GPU is named that torch cannot use; ``auto`` falls back and says why.
    """
    cores = usable_cores()
    if request == "cpu":
        return Device("cpu", 0, f"CPU, {cores} cores")
    index = int(request.partition(":")[2] or launch().local_rank)
    if torch.cuda.is_available() and index < torch.cuda.device_count():
        name = torch.cuda.get_device_name(index)
        return Device("cuda", index, f"{name} through torch {torch.__version__}")
    why = (
        f"torch {torch.__version__} is built without CUDA"
        if torch.version.cuda is None
        else f"torch sees {torch.cuda.device_count()} CUDA devices"
    )
    if request == "auto":
        return Device("cpu", 0, f"CPU, {cores} cores (no GPU: {why})")
    raise DeviceError(
        "The requested GPU cannot be used for training.",
        expected=f"a working CUDA device for '{request}'",
        got=why,
        hint="install a CUDA build of torch, or use --device cpu",
    )


def torch_device(device: Device) -> torch.device:
    """The same device in torch's terms; on the CPU with its `threads`."""
    if device.kind == "cpu":
        torch.set_num_threads(threads())
    return torch.device(device.label)


def threads() -> int:
    """Threads of torch on the CPU: one per usable core, or what OMP_NUM_THREADS says.

    On a busy machine several are slower than one: they wait for each other by spinning (70 % of the
    processor time of two threads on two cores with load 10).
    """
    if "OMP_NUM_THREADS" in os.environ:
        return torch.get_num_threads()  # torch has read it
    return usable_cores()


def select_precision(request: str, device: torch.device) -> torch.dtype:
    """Resolve ``auto``, ``float32`` or ``bfloat16`` for the networks' training arithmetic.

    ``auto`` is bfloat16 on GPUs and x86 processors with instructions for it (twice as fast there,
    emulated and slow elsewhere).
    """
    if request != "auto":
        return torch.bfloat16 if request == "bfloat16" else torch.float32
    if device.type == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        fast = bool(_BFLOAT16_FLAGS & _processor_flags())
    return torch.bfloat16 if fast else torch.float32


def _processor_flags() -> set[str]:
    """Instruction sets that Linux reports for the first processor; elsewhere none."""
    if not _CPUINFO.exists():
        return set()
    lines = _CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines()
    return next((set(x.split()) for x in lines if x.startswith("flags")), set())


def to_tensor(array: Array, device: torch.device | str = "cpu") -> torch.Tensor:
    """Engine array to a tensor of the same dtype; CuPy goes by DLPack without a copy."""
    if array_api_compat.is_cupy_array(array):
        tensor: torch.Tensor = torch.utils.dlpack.from_dlpack(array)
        return tensor.to(device)
    return torch.from_numpy(np.ascontiguousarray(array)).to(device)


def to_host(tensor: torch.Tensor) -> np.ndarray:
    """Tensor to a NumPy array on the host."""
    return np.asarray(tensor.detach().cpu().numpy())

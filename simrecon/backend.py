"""Arrays and devices: the only file that may import CuPy.

Kernels follow their input: they take the namespace of the array they are given
(:func:`namespace`) and create new arrays beside it (:func:`device_of`). FFTs go through the
three functions here, so that NumPy input is transformed by ``scipy.fft`` in float32 with one
thread per usable core.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from types import ModuleType
from typing import Any, ParamSpec, TypeVar

import array_api_compat
import numpy as np
import scipy.fft
from threadpoolctl import threadpool_limits

from simrecon.errors import DeviceError

_P = ParamSpec("_P")
_R = TypeVar("_R")
Array = Any  # an array of any Array-API library; shapes and dtypes are in the docstrings


def usable_cores() -> int:
    """Cores that this process may use (CPU affinity, not the machine's total)."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return max(1, os.cpu_count() or 1)


def serial_blas(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Decorator: small matrices inside run on one BLAS thread.

    On a busy machine spinning BLAS threads made the pattern fit three times slower.
    """

    @wraps(function)
    def limited(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        with threadpool_limits(limits=1, user_api="blas"):
            return function(*args, **kwargs)

    return limited


def namespace(*arrays: Array) -> Any:
    """Array-API namespace of the arrays (NumPy for NumPy arrays, and so on)."""
    return array_api_compat.array_namespace(*arrays)


def device_of(array: Array) -> Any:
    """Device of an array, in its own library's terms."""
    return array_api_compat.device(array)


def like(values: Any, reference: Array, dtype: Any = None) -> Array:
    """Copy host values to the library and device of `reference`.

    Parameters
    ----------
    values : array_like
        NumPy array or nested lists.
    reference
        Array whose library and device are used.
    dtype
        dtype of the reference's namespace; default: the dtype of `values`.
    """
    xp = namespace(reference)
    host = np.asarray(values)
    kwargs = {} if dtype is None else {"dtype": dtype}
    return xp.asarray(host, device=device_of(reference), **kwargs)


def to_numpy(array: Array) -> np.ndarray:
    """Copy an array of any library to a NumPy array on the host."""
    if isinstance(array, np.ndarray):
        return array
    if array_api_compat.is_cupy_array(array):
        return np.asarray(array.get())
    if array_api_compat.is_torch_array(array):
        return np.asarray(array.detach().cpu().numpy())
    try:
        return np.asarray(array)
    except RuntimeError:  # array_api_strict forbids the implicit copy from another device
        xp = namespace(array)
        return np.asarray(xp.asarray(array, device=xp.Device("CPU_DEVICE")))


def _last(axes: int) -> tuple[int, ...]:
    return tuple(range(-axes, 0))


def fftn(array: Array, axes: int) -> Array:
    """DFT over the last `axes` axes, unnormalised, complex64 for float32 input."""
    if isinstance(array, np.ndarray):
        return scipy.fft.fftn(array, axes=_last(axes), workers=usable_cores())
    xp = namespace(array)
    if xp.isdtype(array.dtype, "real floating"):  # the standard's fftn takes complex input only
        array = xp.astype(array, xp.complex64 if array.dtype == xp.float32 else xp.complex128)
    return xp.fft.fftn(array, axes=_last(axes))


def ifftn(array: Array, axes: int) -> Array:
    """Inverse of :func:`fftn` (divided by the number of samples)."""
    if isinstance(array, np.ndarray):
        return scipy.fft.ifftn(array, axes=_last(axes), workers=usable_cores())
    return namespace(array).fft.ifftn(array, axes=_last(axes))


def rfftn(array: Array, axes: int) -> Array:
    """DFT of a real array over the last `axes` axes; the last one keeps n//2 + 1 frequencies."""
    if isinstance(array, np.ndarray):
        return scipy.fft.rfftn(array, axes=_last(axes), workers=usable_cores())
    return namespace(array).fft.rfftn(array, axes=_last(axes))


def irfftn(array: Array, shape: tuple[int, ...]) -> Array:
    """Inverse of :func:`rfftn` to a real array whose last axes have `shape`."""
    axes = _last(len(shape))
    if isinstance(array, np.ndarray):
        return scipy.fft.irfftn(array, s=shape, axes=axes, workers=usable_cores())
    return namespace(array).fft.irfftn(array, s=shape, axes=axes)


def fft_along(array: Array, axis: int) -> Array:
    """DFT of a complex array along one axis, unnormalised."""
    if isinstance(array, np.ndarray):
        return scipy.fft.fft(array, axis=axis, workers=usable_cores())
    return namespace(array).fft.fft(array, axis=axis)


def ifft_along(array: Array, axis: int) -> Array:
    """Inverse of :func:`fft_along`."""
    if isinstance(array, np.ndarray):
        return scipy.fft.ifft(array, axis=axis, workers=usable_cores())
    return namespace(array).fft.ifft(array, axis=axis)


def fft2(array: Array) -> Array:
    """Two-dimensional :func:`fftn`."""
    return fftn(array, 2)


def ifft2(array: Array) -> Array:
    """Inverse of :func:`fft2`."""
    return ifftn(array, 2)


def fast_length(n: int) -> int:
    """Smallest length at or above `n` whose real and complex FFT are fast."""
    return int(scipy.fft.next_fast_len(int(n), real=True))


@dataclass(frozen=True)
class GpuStatus:
    """Whether a CUDA device can be used by the engine, and why not.

    Attributes
    ----------
    usable
        True when CuPy imported, found a device and ran an allocation on it.
    name
        Device name, or an empty string.
    reason
        One sentence: what will be used, or why no GPU can be.
    """

    usable: bool
    name: str
    reason: str


def _import_cupy() -> ModuleType:
    import cupy

    return cupy  # type: ignore[no-any-return]


def gpu_status(index: int = 0) -> GpuStatus:
    """Ask CuPy for a working device ("importable" is not "usable")."""
    try:
        cupy = _import_cupy()
    except ImportError:
        return GpuStatus(False, "", "CuPy is not installed (extra 'cuda12' or 'cuda13')")
    try:
        count = int(cupy.cuda.runtime.getDeviceCount())
        if index >= count:
            return GpuStatus(False, "", f"there are {count} CUDA devices, cuda:{index} is not one")
        with cupy.cuda.Device(index):
            cupy.zeros(3).sum()
        name = cupy.cuda.runtime.getDeviceProperties(index)["name"].decode()
    except Exception as error:  # noqa: BLE001 - CuPy raises several unrelated types here
        return GpuStatus(False, "", f"CuPy is installed but no device works ({error})")
    return GpuStatus(True, name, f"{name} through CuPy {cupy.__version__}")


@dataclass(frozen=True)
class Device:
    """A chosen place to compute, with the reason for the choice."""

    kind: str  # "cpu" or "cuda"
    index: int
    reason: str

    @property
    def label(self) -> str:
        """``cpu`` or ``cuda:N``."""
        return "cpu" if self.kind == "cpu" else f"cuda:{self.index}"


def select_device(request: str = "auto") -> Device:
    """Resolve ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.

    Raises
    ------
    DeviceError
        When a GPU is named that cannot be used; ``auto`` falls back and says so in `reason`.
    """
    cores = usable_cores()
    if request == "cpu":
        return Device("cpu", 0, f"CPU, {cores} core{'' if cores == 1 else 's'}")
    if request == "auto" or request == "cuda" or request.startswith("cuda:"):
        suffix = request.partition(":")[2]
        if suffix and not suffix.isdigit():
            raise DeviceError("Unknown device.", expected="auto, cpu, cuda or cuda:N", got=request)
        status = gpu_status(int(suffix or 0))
        if status.usable:
            return Device("cuda", int(suffix or 0), status.reason)
        if request == "auto":
            return Device("cpu", 0, f"CPU, {cores} cores (no GPU: {status.reason})")
        raise DeviceError(
            "The requested GPU cannot be used.",
            expected=f"a working CUDA device for '{request}'",
            got=status.reason,
            hint="run 'simrecon doctor', install the extra for your CUDA, or use --device cpu",
        )
    raise DeviceError("Unknown device.", expected="auto, cpu, cuda or cuda:N", got=request)


def to_device(array: Array, device: Device) -> Array:
    """Move a host array to `device` (NumPy for the CPU, CuPy for CUDA)."""
    if device.kind == "cpu":
        return to_numpy(array)
    cupy = _import_cupy()
    with cupy.cuda.Device(device.index):
        return cupy.asarray(array)

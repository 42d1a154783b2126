"""The engine on a CUDA device agrees with the CPU; skipped, with the reason, without one."""

import numpy as np
import pytest

from simrecon import backend
from simrecon.physics.simulate import simulate
from simrecon.recon.operator import Reconstructor
from simrecon.recon.preprocess import raw_variance

STATUS = backend.gpu_status()
pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not STATUS.usable, reason=STATUS.reason)]
TOLERANCE = 1e-4


@pytest.fixture(scope="module", params=[(96, 96), (97, 101)], ids=["even", "odd-prime"])
def pair(request):
    """Frames, variances and operators on the CPU and on the GPU."""
    stack, truth = simulate(shape=request.param, peak_e=500.0, phase_jitter_rad=0.1, seed=4)
    frames = stack.frames_e()
    variance = raw_variance(frames, stack.camera)
    device = backend.select_device("cuda:0")
    options = {"frame_variance_e2": variance.mean(axis=(2, 3)), "zoom": 2}
    out = []
    for place in (backend.select_device("cpu"), device):
        data, var = backend.to_device(frames, place), backend.to_device(variance, place)
        operator = Reconstructor.from_frames(data, truth.pattern, truth.otf, stack.grid, **options)
        out.append((operator, data, var))
    return out


def assert_equal(on_cpu, on_gpu):
    assert not isinstance(on_gpu, np.ndarray)  # it really stayed on the device
    host = backend.to_numpy(on_gpu)
    assert host.dtype == on_cpu.dtype == np.float32
    scale = np.abs(on_cpu).max()
    assert np.abs(host - on_cpu).max() < TOLERANCE * scale


def test_reconstruct(pair):
    (cpu, frames, _), (gpu, device_frames, _) = pair
    assert_equal(cpu.reconstruct(frames), gpu.reconstruct(device_frames))


def test_variance(pair):
    (cpu, _, variance), (gpu, _, device_variance) = pair
    assert_equal(cpu.variance(variance), gpu.variance(device_variance))


def test_adjoint_and_forward(pair):
    (cpu, frames, _), (gpu, device_frames, _) = pair
    image, device_image = cpu.reconstruct(frames), gpu.reconstruct(device_frames)
    assert_equal(cpu.adjoint(image), gpu.adjoint(device_image))
    assert_equal(cpu.forward(image), gpu.forward(device_image))


def test_effective_psf(pair):
    (cpu, _, _), (gpu, _, _) = pair
    a, b = cpu.effective_psf((65, 65)), gpu.effective_psf((65, 65))
    assert np.abs(a - b).max() < TOLERANCE * a.max()


def test_pipeline(pair):
    from simrecon.config import build_settings
    from simrecon.pipeline import reconstruct

    stack, truth = simulate(shape=(96, 96), peak_e=500.0, seed=4)
    results = [
        reconstruct(stack, build_settings(("test", {"device": d})), pattern=truth.pattern)
        for d in ("cpu", "cuda:0")
    ]
    assert results[1].provenance["device"].startswith("cuda:0")
    a, b = (r.image for r in results)
    assert np.abs(a - b).max() < TOLERANCE * a.max()

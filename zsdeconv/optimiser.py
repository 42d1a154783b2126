"""The optimiser: orthogonalised momentum for inner convolutions, Adam for everything else.

A zero-shot training is short, so what counts is progress per step. The gradient of an inner
convolution is dominated by few directions; replacing its momentum by the nearest (semi-)
orthogonal matrix lets all directions move alike (Jordan et al., *Muon: an optimizer for hidden
layers in neural networks*, 2024; Bernstein & Newhouse, *Old optimizer, new norm*, 2024,
section 2). First and last convolutions and biases are no such matrices and keep Adam.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

Tensor = torch.Tensor

_MOMENTUM = 0.95
_ITERATIONS = 5
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the quintic iteration, as published: singular values end within about 0.7…1.2."""
_BETAS = (0.9, 0.99)


def orthogonalised(matrix: Tensor) -> Tensor:
    """About the nearest semi-orthogonal matrix, by a quintic Newton–Schulz iteration.

    Parameters
    ----------
    matrix : tensor, shape (n, m)
        Any scale; zero gives zero.
    """
    a, b, c = _COEFFICIENTS
    wide: Tensor = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix
    x: Tensor = wide / (wide.norm() + 1e-7)
    for _ in range(_ITERATIONS):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T if matrix.shape[0] > matrix.shape[1] else x


class Optimiser:
    """Steps of a network's weights under one schedule.

    Parameters
    ----------
    network
        Its convolutions' weights outside modules named ``head`` or ``tail`` count as inner ones.
    orthogonal
        Whether those get orthogonalised momentum; otherwise Adam serves all.
    """

    def __init__(self, network: nn.Module, orthogonal: bool) -> None:
        named = list(network.named_parameters())
        self._inner = [p for n, p in named if orthogonal and _is_inner(n, p)]
        self._momentum = [torch.zeros_like(p) for p in self._inner]
        inner = {id(p) for p in self._inner}
        self._adam = torch.optim.Adam([p for _, p in named if id(p) not in inner], betas=_BETAS)

    def zero_grad(self) -> None:
        """Forget the gradients."""
        self._adam.zero_grad(set_to_none=True)
        for p in self._inner:
            p.grad = None

    def step(self, rate: float, inner_rate: float) -> None:
        """One step: Adam with `rate`; inner weights move by `inner_rate` in every direction."""
        for group in self._adam.param_groups:
            group["lr"] = rate
        self._adam.step()
        with torch.no_grad():
            for p, momentum in zip(self._inner, self._momentum, strict=True):
                if p.grad is None:
                    continue
                momentum.lerp_(p.grad, 1.0 - _MOMENTUM)
                ahead = p.grad.lerp(momentum, _MOMENTUM)
                matrix = ahead.reshape(ahead.shape[0], -1)
                gain = max(1.0, matrix.shape[0] / matrix.shape[1]) ** 0.5
                p.sub_(orthogonalised(matrix).reshape(p.shape), alpha=inner_rate * gain)

    def state(self) -> dict[str, Tensor]:
        """Tensors that continuing needs."""
        found = {f"momentum.{i}": m for i, m in enumerate(self._momentum)}
        for index, state in self._adam.state_dict()["state"].items():
            found |= {f"adam.{index}.{key}": value for key, value in state.items()}
        return found

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over what :meth:`state` gave."""
        states: dict[int, dict[str, Tensor]] = {}
        for name, value in tensors.items():
            kind, _, rest = name.partition(".")
            if kind == "momentum":
                self._momentum[int(rest)].copy_(value)
                continue
            index, _, key = rest.partition(".")
            states.setdefault(int(index), {})[key] = value
        self._adam.load_state_dict({**self._adam.state_dict(), "state": states})


def _is_inner(name: str, parameter: Tensor) -> bool:
    return parameter.ndim >= 4 and not {"head", "tail"} & set(name.split("."))

"""Muon for the matrices of the transformer's layers, Adam for everything else (Jordan et al. 2024).

A matrix moves along its momentum with all singular values made equal by five Newton-Schulz steps. Matrices of one shape
are worked on together, which keeps the overhead small for a model whose matrices are.
"""

import torch
from torch import Tensor, nn


def orthogonal(g: Tensor, steps: int = 5) -> Tensor:
    """The nearest semi-orthogonal matrices, roughly, of a stack of matrices (k, rows, columns)."""
    x = g.mT if g.shape[1] > g.shape[2] else g
    x = x / (x.flatten(1).norm(dim=1)[:, None, None] + 1e-7)
    for _ in range(steps):
        s = x @ x.mT
        x = 3.4445 * x + (-4.7750 * s + 2.0315 * s @ s) @ x
    return x.mT if g.shape[1] > g.shape[2] else x


class Muon:
    """The optimiser of one model; its state is plain tensors, so that it can be kept without pickle."""

    def __init__(self, model: nn.Module, lr: float, matrix_lr: float, decay: float = 0.01) -> None:
        self.lr, self.matrix_lr, self.decay, self.count = lr, matrix_lr, decay, 0
        self.named = dict(model.named_parameters())
        matrix = [k for k, p in self.named.items() if ".block." in k and p.ndim == 2 and "relative" not in k]
        self.rest = [k for k in self.named if k not in set(matrix)]
        self.groups: dict[tuple[int, ...], list[str]] = {}
        for k in matrix:
            self.groups.setdefault(tuple(self.named[k].shape), []).append(k)
        self.first = {k: torch.zeros_like(p) for k, p in self.named.items()}
        self.second = {k: torch.zeros_like(self.named[k]) for k in self.rest}

    def zero_grad(self) -> None:
        for p in self.named.values():
            p.grad = None

    def state(self) -> dict[str, Tensor]:
        out = {"first." + k: v for k, v in self.first.items()} | {"second." + k: v for k, v in self.second.items()}
        return out | {"count": torch.tensor([self.count])}

    def load(self, state: dict[str, Tensor]) -> None:
        self.count = int(state["count"])
        for k in self.first:
            self.first[k].copy_(state["first." + k])
        for k in self.second:
            self.second[k].copy_(state["second." + k])

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """One step at `rate` times the learning rates."""
        self.count += 1
        for shape, names in self.groups.items():
            weights = [self.named[k] for k in names]
            grads = [w.grad if w.grad is not None else torch.zeros_like(w) for w in weights]
            momenta = [self.first[k] for k in names]
            torch._foreach_lerp_(momenta, grads, 0.05)
            ahead = torch.stack(torch._foreach_lerp(grads, momenta, 0.95))
            lr = self.matrix_lr * rate * max(1.0, shape[0] / shape[1]) ** 0.5
            torch._foreach_mul_(weights, 1.0 - self.decay * rate * self.matrix_lr)
            torch._foreach_add_(weights, list(orthogonal(ahead)), alpha=-lr)
        keys = [k for k in self.rest if self.named[k].grad is not None]
        weights = [self.named[k] for k in keys]
        grads = [self.named[k].grad for k in keys]
        first, second = [self.first[k] for k in keys], [self.second[k] for k in keys]
        torch._foreach_lerp_(first, grads, 0.1)
        torch._foreach_mul_(second, 0.98)
        torch._foreach_addcmul_(second, grads, grads, 0.02)
        root = torch._foreach_sqrt(second)
        torch._foreach_div_(root, (1 - 0.98**self.count) ** 0.5)
        torch._foreach_add_(root, 1e-9)
        torch._foreach_mul_(weights, 1.0 - self.decay * rate * self.lr)
        torch._foreach_addcdiv_(weights, first, root, value=-self.lr * rate / (1 - 0.9**self.count))

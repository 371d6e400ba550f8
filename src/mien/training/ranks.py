"""Several processes that train one network, as torchrun starts them: who one is, what is summed, who is gone.

gloo carries what lies on the CPU, NCCL what lies on a GPU. Each step's batch is the one that a single process would
take; every rank has a share of its rows. Leaves out: the loop (``loop``), gradients (torch's DistributedDataParallel).
"""

from __future__ import annotations

import itertools
import os
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from mien.errors import MienError

__all__ = ["ALONE", "RankGone", "Ranks", "joined", "synchronised"]

T = TypeVar("T")

_TIMES = itertools.count()  # that this process has joined others
_ALIVE = timedelta(seconds=5)  # within which a rank answers whose collective has failed, as everybody's has


class RankGone(MienError):
    """Ranks died; ``told_by`` is the first that is left."""

    def __init__(self, gone: Mapping[int, str], told_by: int) -> None:
        names = ", ".join(f"rank {rank} ({who})" for rank, who in gone.items())
        super().__init__(
            f"{names} {'are' if len(gone) > 1 else 'is'} gone, so the run ends; --resume goes on with its last state"
        )
        self.told_by = told_by


@dataclass(frozen=True)
class Ranks:
    """The processes of a run: ``rank`` of ``count``, the ``local``-th on its machine. :data:`ALONE` is one process."""

    rank: int = 0
    count: int = 1
    local: int = 0
    store: Any = None

    @property
    def first(self) -> bool:
        """Whether this process writes and speaks."""
        return self.rank == 0

    def rows(self, n: int) -> slice:
        """This rank's share of ``n`` rows: contiguous, sizes differ by one at most, all shares make the whole."""
        return slice(self.rank * n // self.count, (self.rank + 1) * n // self.count)

    def total(self, values: Tensor) -> Tensor:
        """The sum over ranks; the tensor itself for one."""
        if self.count > 1:
            dist.all_reduce(values)
        return values

    def any(self, wanted: bool) -> bool:
        """Whether any rank wants it."""
        return wanted if self.count == 1 else bool(self.total(torch.tensor(float(wanted))))

    def whole(self, share: Tensor, n: int) -> Tensor:
        """All ``n`` rows, of which ``share`` are this rank's."""
        if self.count == 1:
            return share
        every = share.new_zeros((n, *share.shape[1:]))
        every[self.rows(n)] = share
        return self.total(every)

    def shared(self, make: Callable[[], T]) -> T:
        """What ``make`` gives on the first rank, for all; also an error of ours."""
        if self.count == 1:
            return make()
        told: list[Any] = [None, None]
        if self.first:
            try:
                told[0] = make()
            except MienError as error:
                told[1] = error
        dist.broadcast_object_list(told, 0)
        if told[1] is not None:
            raise told[1]
        found: T = told[0]
        return found

    def alike(self, tensors: Iterable[Tensor]) -> None:
        """Give every rank the first rank's values."""
        if self.count > 1:
            for tensor in tensors:
                dist.broadcast(tensor, 0)

    def gone(self) -> dict[int, str]:
        """Ranks that do not answer any more, after something failed: ``process 4242 on node3``."""
        self.store.set(f"mien/alive/{self.rank}", "")
        missing = {}
        for rank in range(self.count):
            try:
                self.store.wait([f"mien/alive/{rank}"], _ALIVE)
            except RuntimeError:  # torch.distributed has several, all derived from it
                missing[rank] = self.store.get(f"mien/who/{rank}").decode()
        return missing


#: A run of one process.
ALONE = Ranks()


@contextmanager
def joined() -> Iterator[Ranks]:
    """The ranks that torchrun's environment names, joined for as long as it lasts; :data:`ALONE` without torchrun.

    MienError names the ranks that are gone where one has died meanwhile.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield ALONE
        return
    first, rank, count = next(dist.rendezvous("env://"))  # type: ignore[attr-defined]
    # keys of its own for each time, or those of an earlier one would be found
    store = dist.PrefixStore(f"mien-{next(_TIMES)}", first)  # type: ignore[attr-defined]
    ranks = Ranks(rank, count, int(os.environ.get("LOCAL_RANK", rank)), store)
    store.set(f"mien/who/{rank}", f"process {os.getpid()} on {socket.gethostname()}")
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    dist.init_process_group(backend, store=store, rank=rank, world_size=count)
    try:
        yield ranks
    except RuntimeError as error:
        if gone := ranks.gone():
            raise RankGone(gone, next(r for r in range(count) if r not in gone)) from error
        raise
    finally:
        dist.destroy_process_group()


def synchronised(model: nn.Module) -> nn.Module:
    """``model``, whose batch norms now take their statistics from all ranks' shares of a batch; on any device."""
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.BatchNorm1d | nn.BatchNorm2d):
                kind: Any = _Norm1d if isinstance(child, nn.BatchNorm1d) else _Norm2d
                norm = kind(child.num_features, child.eps, child.momentum).to(next(child.parameters()).device)
                norm.load_state_dict(child.state_dict())
                setattr(parent, name, norm)
    return model


class _Summed(torch.autograd.Function):
    """The sum over ranks, whose gradient is the sum of all ranks' gradients."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        total = x.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].contiguous().clone()
        dist.all_reduce(total)
        return total


def _summed(x: Tensor) -> Tensor:
    total: Tensor = _Summed.apply(x)  # type: ignore[no-untyped-call]
    return total


def _normalised(norm: nn.BatchNorm1d | nn.BatchNorm2d, x: Tensor) -> Tensor:
    """Batch norm in training over all ranks' rows (Ioffe & Szegedy 2015, arXiv 1502.03167, algorithm 1).

    torch's SyncBatchNorm does this on GPUs only.
    """
    axes, shape = [0, *range(2, x.ndim)], [1, -1] + [1] * (x.ndim - 2)
    wide = x.float()
    sums = _summed(torch.cat((wide.sum(axes), wide.new_tensor([x.numel() / x.shape[1]]))))
    n = sums[-1]
    mean = sums[:-1] / n
    centred = wide - mean.view(shape)
    var = _summed(centred.square().sum(axes)) / n
    assert norm.running_mean is not None
    assert norm.running_var is not None
    assert norm.num_batches_tracked is not None
    with torch.no_grad():
        norm.running_mean.lerp_(mean, norm.momentum or 0.0)
        norm.running_var.lerp_(var * n / (n - 1), norm.momentum or 0.0)
        norm.num_batches_tracked += 1
    gain = norm.weight * torch.rsqrt(var + norm.eps)
    out: Tensor = centred * gain.view(shape) + norm.bias.view(shape)
    return out.to(x.dtype)


class _Norm1d(nn.BatchNorm1d):
    def forward(self, x: Tensor) -> Tensor:
        return _normalised(self, x) if self.training else super().forward(x)


class _Norm2d(nn.BatchNorm2d):
    def forward(self, x: Tensor) -> Tensor:
        return _normalised(self, x) if self.training else super().forward(x)

"""Whose turn it is: clients take turns, and so do the requests of one client.

Who has not been served yet goes first, so a single picture hardly waits beside requests of many.
Leaves out: doing anything (``scheduling``).
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

__all__ = ["Owner", "Rotation"]

T = TypeVar("T")
K = TypeVar("K")
V = TypeVar("V")

_FRESH = 3  # turns in a row that who is new may take before who has been served already gets one


@dataclass(frozen=True, eq=False)
class Owner:
    """One request, as far as turns go."""

    client: str


class _Turns(Generic[K, V]):
    """Lines by key. Who has not been served yet comes first, three times in four; then who waits longest."""

    def __init__(self) -> None:
        self.lines: dict[K, V] = {}
        self._fresh: OrderedDict[K, None] = OrderedDict()
        self._served: OrderedDict[K, None] = OrderedDict()
        self._in_a_row = 0

    def __iter__(self) -> Iterator[K]:
        first, second = (self._fresh, self._served) if self._in_a_row < _FRESH else (self._served, self._fresh)
        yield from list(first)
        yield from list(second)

    def line(self, key: K, new: Callable[[], V]) -> V:
        """That of the key; a new one where it has none."""
        if key not in self.lines:
            self.lines[key] = new()
            self._fresh[key] = None
        return self.lines[key]

    def served(self, key: K, *, again: bool = False) -> None:
        """Put it behind all others, or, for what must be taken ``again``, before them."""
        self._in_a_row = self._in_a_row + 1 if key in self._fresh and self._served else 0
        self._fresh.pop(key, None)
        self._served[key] = None
        self._served.move_to_end(key, last=not again)

    def end(self, key: K) -> None:
        """It waits for nothing any more."""
        for waiting in (self.lines, self._fresh, self._served):
            waiting.pop(key, None)


class Rotation(Generic[T]):
    """A queue that serves clients by turns, and each client's requests by turns. Not safe for threads by itself."""

    def __init__(self) -> None:
        self._clients: _Turns[str, _Turns[Owner, deque[T]]] = _Turns()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def put(self, owner: Owner, item: T, *, again: bool = False) -> None:
        """Append to the request's own line; ``again`` puts back what was taken, and its turn with it."""
        requests = self._clients.line(owner.client, _Turns)
        line = requests.line(owner, deque)
        if again:
            line.appendleft(item)
            requests.served(owner, again=True)
            self._clients.served(owner.client, again=True)
        else:
            line.append(item)
        self._count += 1

    def take(self, fits: Callable[[T], bool] = lambda item: True) -> T | None:
        """The next item whose turn it is and that fits; None where there is none."""
        for client in self._clients:
            requests = self._clients.lines[client]
            for owner in requests:
                line = requests.lines[owner]
                if fits(line[0]):
                    requests.served(owner)
                    self._clients.served(client)
                    self._count -= 1
                    item = line.popleft()
                    self._tidy(owner)
                    return item
        return None

    def drop(self, owner: Owner) -> list[T]:
        """Forget what waits of one request, and give it back."""
        requests = self._clients.lines.get(owner.client)
        line = requests.lines.get(owner) if requests else None
        if not line:
            return []
        dropped = list(line)
        line.clear()
        self._count -= len(dropped)
        self._tidy(owner)
        return dropped

    def _tidy(self, owner: Owner) -> None:
        requests = self._clients.lines[owner.client]
        if not requests.lines[owner]:
            requests.end(owner)
        if not requests.lines:
            self._clients.end(owner.client)

"""Voice prompts in memory: what a reference recording becomes inside the model. Biometric, and kept as such.

Bounded, least used out first; keyed by voice and epoch, so that a revocation leaves nothing that could still
match, and by the reference itself, so that no voice can be served another's prompt. Zeroed when dropped.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

_T = TypeVar("_T")
_R = TypeVar("_R")


@dataclass(frozen=True, slots=True)
class PromptKey:
    """reference_digest: SHA-256 hex over samples, rate and transcript."""

    tenant: str
    voice_id: str
    voice_epoch: int
    reference_digest: str


class PromptCache(Generic[_T]):
    """Prompts by key. `erase` overwrites one that is dropped. Thread-safe."""

    def __init__(self, size: int, erase: Callable[[_T], None]) -> None:
        self._size = size
        self._erase = erase
        self._lock = threading.Lock()
        self._prompts: OrderedDict[PromptKey, _T] = OrderedDict()

    def __len__(self) -> int:
        return len(self._prompts)

    def use(self, key: PromptKey, work: Callable[[_T], _R]) -> _R | None:
        """`work` with the prompt, or None where there is none. It is not erased meanwhile, so keep it short."""
        with self._lock:
            prompt = self._prompts.get(key)
            if prompt is None:
                return None
            self._prompts.move_to_end(key)
            return work(prompt)

    def put(self, key: PromptKey, prompt: _T, *, unless: Callable[[], bool]) -> bool:
        """Keep a prompt, and none of an older epoch of its voice. False when it was not kept.

        `unless` is asked under the lock: a voice cancelled while its prompt was being made keeps none.
        """
        with self._lock:
            if self._size == 0 or unless():
                return False
            self._drop(lambda old: _same_voice(old, key) and old.voice_epoch < key.voice_epoch)
            self._prompts[key] = prompt
            while len(self._prompts) > self._size:
                _, oldest = self._prompts.popitem(last=False)
                self._erase(oldest)
            return True

    def drop_voice(self, voice_id: str) -> None:
        with self._lock:
            self._drop(lambda key: key.voice_id == voice_id)

    def clear(self) -> None:
        with self._lock:
            self._drop(lambda _key: True)

    def _drop(self, doomed: Callable[[PromptKey], bool]) -> None:
        for key in [key for key in self._prompts if doomed(key)]:
            self._erase(self._prompts.pop(key))


def _same_voice(one: PromptKey, other: PromptKey) -> bool:
    return (one.tenant, one.voice_id) == (other.tenant, other.voice_id)

"""torchaudio imports beside a CPU-only torch, and no other failure is hidden."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType

import pytest

from foundation import torchaudio_cpu
from foundation.torchaudio_cpu import import_torchaudio

EXTENSION = "torchaudio._extension"


@pytest.fixture
def loading(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is imported, by a torchaudio whose extension links a library that is not there."""
    asked: list[str] = []

    def load(name: str) -> ModuleType:
        asked.append(name)
        if EXTENSION not in sys.modules:
            raise OSError("libcudart.so: cannot open shared object file")
        return ModuleType(name)

    monkeypatch.setattr(importlib, "import_module", load)
    monkeypatch.delitem(sys.modules, EXTENSION, raising=False)
    yield asked  # type: ignore[misc]
    sys.modules.pop(EXTENSION, None)


def test_an_extension_that_can_not_load_is_replaced_by_none(loading: list[str]) -> None:
    assert import_torchaudio().__name__ == "torchaudio"
    assert loading == ["torchaudio", "torchaudio"]
    stand_in = sys.modules[EXTENSION]
    assert stand_in._IS_TORCHAUDIO_EXT_AVAILABLE is False
    assert stand_in.fail_if_no_align(len) is len


def test_torchaudio_that_is_not_installed_is_an_import_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> ModuleType:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(ModuleNotFoundError):
        torchaudio_cpu.import_torchaudio()

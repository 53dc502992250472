"""A Qwen3-TTS checkpoint on this machine: found, checked and digested before a framework is imported.

Weights must be safetensors: a pickle runs code when it is loaded, and a checkpoint is a download.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from speech.config import Checkpoint
from speech.errors import EngineUnavailable
from speech.languages import LANGUAGES

Kind: TypeAlias = Literal["base", "custom_voice", "voice_design"]

_HUB_ID: Final = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_NEEDED: Final = (
    "config.json",
    "generation_config.json",
    "vocab.json",
    "merges.txt",
    "tokenizer_config.json",
    "speech_tokenizer/config.json",
    "speech_tokenizer/preprocessor_config.json",
)
_PATTERNS: Final = ("*.json", "*.txt", "*.safetensors", "speech_tokenizer/*")
_BLOCK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class LocalCheckpoint:
    """kind: what it was trained for. model: how it calls itself. digest: SHA-256 hex over weights and config.

    languages: ISO 639-1. speakers: as the model spells them. control_tokens: strings that its tokenizer takes
    for commands, never to be let in from a caller's text.
    """

    folder: Path
    kind: Kind
    model: str
    digest: str
    languages: tuple[str, ...]
    speakers: tuple[str, ...]
    control_tokens: frozenset[str]


def find_checkpoint(wanted: Checkpoint, kind: Kind, *, offline: bool) -> LocalCheckpoint:
    """Locate (or, unless `offline`, download) and check a checkpoint. Raises EngineUnavailable."""
    folder = _folder(wanted, offline=offline)
    missing = [name for name in _NEEDED if not (folder / name).is_file()]
    missing += [
        f"{part}*.safetensors"
        for part in ("", "speech_tokenizer/")
        if not any((folder / part).glob("*.safetensors"))
    ]
    if missing:
        raise EngineUnavailable(f"the {kind} checkpoint is not complete; missing: {', '.join(missing)}")
    config = _json(folder / "config.json")
    found = config.get("tts_model_type")
    if config.get("model_type") != "qwen3_tts" or found != kind:
        raise EngineUnavailable(
            f"the checkpoint configured as {kind} is of type {found!r}; configure it there"
        )
    talker = config.get("talker_config", {})
    names = {language.name.lower(): code for code, language in LANGUAGES.items()}
    return LocalCheckpoint(
        folder=folder,
        kind=kind,
        model=wanted.source if _is_hub_id(wanted) else folder.resolve().name,
        digest=_digest(folder),
        languages=tuple(names[name] for name in names if name in talker.get("codec_language_id", {})),
        speakers=tuple(talker.get("spk_id") or ()),
        control_tokens=_control_tokens(folder),
    )


def _is_hub_id(wanted: Checkpoint) -> bool:
    return not Path(wanted.source).expanduser().is_dir() and _HUB_ID.fullmatch(wanted.source) is not None


def _folder(wanted: Checkpoint, *, offline: bool) -> Path:
    folder = Path(wanted.source).expanduser()
    if folder.is_dir():
        return folder
    if not _is_hub_id(wanted):
        raise EngineUnavailable(
            f"no checkpoint directory at {wanted.source}; check the path in the configuration"
        )
    from huggingface_hub import snapshot_download

    try:
        snapshot = snapshot_download(
            wanted.source,
            revision=wanted.revision,
            allow_patterns=list(_PATTERNS),
            local_files_only=offline,
        )
    except (OSError, ValueError) as error:  # the hub's own errors are of these two families
        doing = "is not in the local cache" if offline else "could not be downloaded"
        raise EngineUnavailable(
            f"the checkpoint {wanted.source} {doing} ({type(error).__name__}); "
            "download it first and configure its directory"
        ) from error
    return Path(snapshot)


def _digest(folder: Path) -> str:
    """Over names and contents of every file that decides what the model says."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix in (".json", ".txt", ".safetensors"):
            digest.update(f"{path.relative_to(folder).as_posix()}\0{_file_digest(path)}\n".encode())
    return digest.hexdigest()


def _file_digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _control_tokens(folder: Path) -> frozenset[str]:
    added = _json(folder / "tokenizer_config.json").get("added_tokens_decoder", {})
    tokens = {str(token["content"]) for token in added.values()}
    if (folder / "tokenizer.json").is_file():
        tokens |= {
            str(token["content"]) for token in _json(folder / "tokenizer.json").get("added_tokens", ())
        }
    return frozenset(tokens)


def _json(path: Path) -> dict[str, Any]:
    try:
        loaded = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EngineUnavailable(f"cannot read {path.name} of a checkpoint; fetch it again") from error
    if not isinstance(loaded, dict):
        raise EngineUnavailable(f"{path.name} of a checkpoint is not a JSON object; fetch it again")
    return loaded

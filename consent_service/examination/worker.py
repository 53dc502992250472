"""The program that holds the models: who speaks (Resemblyzer), and what was said in English (pocketsphinx).

    python -P -m consent_service.examination.worker speaker|english

Recordings come in, a JSON answer goes out (`foundation.worker_process`). Embeddings live here and die here: a score
leaves, and the digest of the model that gave it. Nothing is written to a disk and nothing is logged. The heavy
imports stand inside the functions that need them, so that each kind of worker carries its own alone.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final

from consent_service.examination.process import ANSWER
from foundation.worker_process import READY, answer, answers, requests

Examine = Callable[[dict[str, Any], list[bytes]], dict[str, Any]]


def main(kind: str) -> None:
    descriptor = answers()
    examine = _MODELS[kind]()
    answer(descriptor, READY)
    for request, recordings in requests():
        try:
            told = examine(request, recordings)
        except Exception as exc:  # noqa: BLE001 - its text may quote the input; its kind may not
            told = {"failed": type(exc).__name__}
        answer(descriptor, ANSWER, json.dumps(told).encode())


def _speaker() -> Examine:
    """Cosine of two utterance embeddings (GE2E, arXiv 1710.10467), each averaged over its windows of 1.6 s; and the
    least cosine of any one window with the other recording, which an average over two speakers would hide."""
    import hashlib
    import warnings
    from importlib.metadata import version
    from pathlib import Path

    import numpy as np

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import resemblyzer

    weights = Path(resemblyzer.__file__).with_name("pretrained.pt")
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    encoder = resemblyzer.VoiceEncoder("cpu", verbose=False, weights_fpath=weights)

    def embed(pcm: bytes) -> Any:
        samples = np.frombuffer(pcm, dtype="<i2").astype(np.float32) / 32768
        whole, windows, _ = encoder.embed_utterance(resemblyzer.preprocess_wav(samples), return_partials=True)
        return whole, windows

    def compare(_: dict[str, Any], recordings: list[bytes]) -> dict[str, Any]:
        (first, firsts), (second, seconds) = (embed(pcm) for pcm in recordings)
        score, least = float(first @ second), float(min((firsts @ second).min(), (seconds @ first).min()))
        if not np.isfinite([score, least]).all():
            raise ValueError("no score")
        return {
            "score": score,
            "least": least,
            "model": f"resemblyzer {version('resemblyzer')}",
            "model_sha256": digest,
        }

    return compare


def _english() -> Examine:
    """What was said, in the few words that the challenge may hold (`english.language_model`)."""
    from importlib.metadata import version

    from consent_service.examination import english

    decoder = english.load_decoder()

    def transcribe(_: dict[str, Any], recordings: list[bytes]) -> dict[str, Any]:
        (pcm,) = recordings
        return {
            "text": english.decode(decoder, pcm),
            "model": f"pocketsphinx {version('pocketsphinx')} en-us",
        }

    return transcribe


_MODELS: Final[dict[str, Callable[[], Examine]]] = {"speaker": _speaker, "english": _english}


def command(kind: str) -> Sequence[str]:
    """How to start one; `-P`: the folder it is started in is no source of modules."""
    return (sys.executable, "-P", "-m", "consent_service.examination.worker", kind)


if __name__ == "__main__":
    main(sys.argv[1])

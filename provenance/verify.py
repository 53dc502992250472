"""Whose clip is this, is it unaltered, and does its consent still stand?

Gathers what a file and the register say; `provenance.findings` concludes. Uploads are hostile: they are taken apart
by `provenance.decoding`, in a process of its own; what reaches this one is samples and plain data. What cannot be
answered is "unknown", never "live".
"""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from consent_service.proofs.protocols import ProofReader
from consent_service.proofs.records import Standing
from provenance.audio import Limits, Recording
from provenance.decoding.pool import Decoding, shared
from provenance.findings import Findings, KeyedMark
from provenance.fingerprint import similarity
from provenance.keyed.search import find_mark
from provenance.presence import PresenceMark
from provenance.trust import TrustContext
from provenance.verdict import Integrity, Origin, Verdict

__all__ = ["Integrity", "Limits", "Origin", "Verdict", "Verifier"]

_WORST_FIRST: Final = (
    Standing.DECOMMISSIONED,
    Standing.WITHDRAWN,
    Standing.EXPIRED,
    Standing.UNKNOWN,
    Standing.LIVE,
    Standing.NOT_REQUIRED,
)


class Verifier:
    """Looks at clips against one trust anchor (our C2PA root, PEM). Thread-safe.

    reader: the ledger, or an exported bundle; None verifies by signature alone. decoding: the processes that read
    uploads; None: those that this process shares.
    """

    def __init__(
        self,
        trust_anchor: bytes,
        reader: ProofReader | None = None,
        *,
        limits: Limits | None = None,
        clock: Callable[[], float] = time.time,
        decoding: Decoding | None = None,
    ) -> None:
        self._anchor = TrustContext(trust_anchor).anchor
        self._reader = reader
        self._limits = limits or Limits()
        self._clock = clock
        self._decoding = decoding
        self._presence = PresenceMark()

    def verify(self, data: bytes, sidecar: bytes | None = None) -> Verdict:
        """The verdict on one complete file. sidecar: its detached manifest; what is in the file is then not asked.

        Raises AudioTooLarge, AudioUnreadable or DecodingUnavailable.
        """
        found = self._look_at(data, sidecar)
        found = self._ask_register(found)
        standing, as_of = self._standing(found)
        return found.verdict(standing, as_of)

    def _look_at(self, data: bytes, sidecar: bytes | None) -> Findings:
        decoding = self._decoding or shared()
        looked = decoding.look(data, self._anchor, sidecar=sidecar, limits=self._limits)
        facts, recording = looked.facts, looked.recording
        # A clip of ours with a broken header is "altered", not unreadable: it speaks for itself.
        if looked.refused is not None and not facts.names_us:
            raise looked.refused
        return Findings(
            sha256=hashlib.sha256(data).hexdigest(),
            reading=facts.reading,
            manifest_present=facts.manifest_present,
            names_us=facts.names_us,
            fault=facts.fault,
            presence=None
            if recording is None
            else self._presence.detect(recording.samples, recording.sample_rate),
            keyed=None if recording is None else self._keyed_mark(recording),
        )

    def _keyed_mark(self, recording: Recording) -> KeyedMark | None:
        """The tag that the recording carries, and the clip it was allotted to. None where no keys are held."""
        if self._reader is None:
            return None
        try:
            keys = self._reader.watermark_keys()
        except Exception:  # noqa: BLE001 - an unreachable ledger leaves the question open, whatever it raised
            return None
        found = find_mark(recording.samples, recording.sample_rate, keys)
        if found is None:
            return None
        try:
            candidate = self._reader.marked_clip(found.mark)
        except Exception:  # noqa: BLE001 - as above: a mark that nobody can confirm is one all the same
            candidate = None
        alike = 0.0
        if candidate is not None:
            alike = similarity(
                candidate.fingerprint,
                found.samples,
                time_scale=found.reading.time_scale,
                frequency_scale=found.reading.frequency_scale,
            )
        return KeyedMark(found.mark, found.reading.evidence, candidate, alike)

    def _ask_register(self, found: Findings) -> Findings:
        """Whether it knows the very file, and, where the leaf has expired, since when."""
        if self._reader is None or found.disclosure is None:
            return found
        clip_id = found.disclosure.clip_id
        # Each answer counts without the other.
        with contextlib.suppress(Exception):  # as above: the question stays open
            found = replace(found, registered=self._reader.knows_clip(clip_id, found.sha256))
        if found.signed_by_our_expired_leaf:
            with contextlib.suppress(Exception):
                found = replace(found, logged_at=self._reader.logged_at(clip_id, found.sha256))
        return found

    def _standing(self, found: Findings) -> tuple[Standing, float]:
        named = found.all_named
        if self._reader is None or not named or found.origin is not Origin.OURS:
            return Standing.UNKNOWN, self._clock()
        try:
            answers = [self._reader.standing(*one) for one in named]
        except Exception:  # noqa: BLE001 - as above: unknown, never "live"
            return Standing.UNKNOWN, self._clock()
        # A chapter stands no better than the least of its clips.
        return min(answers, key=lambda answer: (_WORST_FIRST.index(answer[0]), answer[1]))

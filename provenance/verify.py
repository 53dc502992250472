"""Whose clip is this, is it unaltered, and does its consent still stand?

Gathers what a file and the register say; `provenance.findings` concludes. Uploads are hostile: size comes
first, decoding is bounded, nothing is fetched. What cannot be answered is "unknown", never "live".
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import replace

from consent_service.proofs.seams import ProofReader, Standing
from provenance import container
from provenance.audio import Limits, Recording, check_size, decode
from provenance.errors import AudioUnreadable
from provenance.findings import Findings, KeyedMark
from provenance.fingerprint import similarity
from provenance.keyed.search import find_mark
from provenance.presence import PresenceMark
from provenance.reading import read_manifest
from provenance.trust import TrustContext
from provenance.verdict import Integrity, Origin, Verdict

__all__ = ["Integrity", "Limits", "Origin", "Verdict", "Verifier"]


class Verifier:
    """Looks at clips against one trust anchor (our C2PA root, PEM). Thread-safe.

    reader: the ledger, or an exported bundle; None verifies by signature alone.
    """

    def __init__(
        self,
        trust_anchor: bytes,
        reader: ProofReader | None = None,
        *,
        limits: Limits | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._trust = TrustContext(trust_anchor)
        self._reader = reader
        self._limits = limits or Limits()
        self._clock = clock
        self._presence = PresenceMark()

    def verify(self, data: bytes) -> Verdict:
        """The verdict on one complete file. Raises AudioTooLarge or AudioUnreadable."""
        check_size(data, self._limits)
        found = self._look_at(data)
        found = replace(found, registered=self._registered(found))
        standing, as_of = self._standing(found)
        return Verdict(found.origin, found.integrity, standing, as_of, found.evidence, found.names)

    def _look_at(self, data: bytes) -> Findings:
        reading = read_manifest(data, self._trust)
        names_us = any(self._trust.issued(der) for der in container.certificates(data))
        recording = self._decoded(data, speaks_for_itself=names_us)
        return Findings(
            sha256=hashlib.sha256(data).hexdigest(),
            reading=reading,
            manifest_present=reading is not None or container.has_manifest(data),
            names_us=names_us,
            fault=container.fault(data),
            presence=None
            if recording is None
            else self._presence.detect(recording.samples, recording.sample_rate),
            keyed=None if recording is None else self._keyed_mark(recording),
        )

    def _decoded(self, data: bytes, *, speaks_for_itself: bool) -> Recording | None:
        try:
            return decode(data, self._limits)
        except AudioUnreadable:
            if speaks_for_itself:
                return None  # a clip of ours with a broken header is "altered", not unreadable
            raise

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

    def _registered(self, found: Findings) -> bool | None:
        if self._reader is None or found.disclosure is None:
            return None
        try:
            return self._reader.knows_clip(found.disclosure.clip_id, found.sha256)
        except Exception:  # noqa: BLE001 - an unreachable ledger leaves the question open, whatever it raised
            return None

    def _standing(self, found: Findings) -> tuple[Standing, float]:
        named = found.named
        if self._reader is None or named is None or found.origin is not Origin.OURS:
            return Standing.UNKNOWN, self._clock()
        try:
            return self._reader.standing(*named)
        except Exception:  # noqa: BLE001 - as above: unknown, never "live"
            return Standing.UNKNOWN, self._clock()

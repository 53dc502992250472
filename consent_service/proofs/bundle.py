"""One file with which clips are verified without us: keys, log, standings and clips, as of a checkpoint. Pure.

    line 1            a signed statement: tenant, time, keys, C2PA root, checkpoint, counts, digest of what follows
    line 2            the signed list of standings (`standings`)
    `clips` lines     canonical JSON, one clip each: digest, standing, mark, and its entry of the log
    size · 32 bytes   every leaf hash of the log, in order

With the leaf hashes the log's root is computed anew, each clip's entry is found in it, and any older checkpoint
(one is signed into every clip) is shown to be of the same history. Clips are named by number only. A bundle that
is read without keys one had before is whole, and nobody's.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import rfc8785

from consent_service.errors import ProofInvalid
from consent_service.proofs.checkpoint import Checkpoint
from consent_service.proofs.merkle import HASH_BYTES, Frontier, leaf_hash
from consent_service.proofs.records import ClipRecord, Standing, WatermarkTag
from consent_service.proofs.standings import Standings, verify_standings
from consent_service.proofs.statement import Signer, sign_statement, verify_statement
from consent_service.proofs.trust import TrustedKeys

BUNDLE_TYPE: Final = "vouch.bundle.v1"
_Json: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class BundledClip:
    """A clip as it stood. `entry` is the canonical JSON of its leaf; `state` a Standing, before any expiry. `closing`:
    the entry that says which file was handed over, and when, if one had been."""

    clip_id: str
    audio_sha256: str
    state: Standing
    leaf: int
    entry: str
    mark: tuple[int, int] | None  # epoch, tag
    closing_leaf: int | None = None
    closing: str | None = None

    def to_line(self) -> bytes:
        fields = {name: getattr(self, name) for name in self.__slots__}
        mark = None if self.mark is None else list(self.mark)
        return rfc8785.dumps({**fields, "state": self.state.value, "mark": mark}) + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> BundledClip:
        fields = json.loads(line)
        mark = fields["mark"] and tuple(fields["mark"])
        return cls(**{**fields, "state": Standing(fields["state"]), "mark": mark})

    @property
    def told(self) -> _Json:
        """The entry, parsed."""
        entry: dict[str, Any] = json.loads(self.entry)
        return entry


def sign_head(
    *, tenant: str, as_of: float, keys: str, trust_anchor: bytes, checkpoint: str, clips: int,
    content_sha256: str, sign: Signer,
) -> bytes:  # fmt: skip
    """The first line, over the digest of all that follows it."""
    body = {
        "tenant": tenant, "as_of": as_of, "keys": keys, "trust_anchor": trust_anchor.decode(),
        "checkpoint": checkpoint, "clips": clips, "content_sha256": content_sha256,
    }  # fmt: skip
    return sign_statement(BUNDLE_TYPE, body, sign).encode() + b"\n"


class Bundle:
    """A bundle that verified; a `ProofReader` that answers as of its checkpoint."""

    def __init__(
        self,
        head: _Json,
        keys: TrustedKeys,
        checkpoint: Checkpoint,
        standings: Standings,
        clips: Mapping[str, BundledClip],
        leaves: bytes,
        clock: Callable[[], float],
    ) -> None:
        self.tenant: str = head["tenant"]
        self.as_of: float = head["as_of"]
        self.trust_anchor: bytes = head["trust_anchor"].encode()
        self.checkpoint, self.standings = checkpoint, standings
        self._keys, self._clips, self._leaves, self._clock = keys, clips, leaves, clock
        self._marks = {clip.mark: clip for clip in clips.values() if clip.mark is not None}

    @classmethod
    def read(
        cls, raw: bytes, trusted: TrustedKeys | None = None, *, clock: Callable[[], float] = time.time
    ) -> Bundle:
        """Verify every byte. trusted: keys one had before; None believes those in the bundle. Raises
        ProofInvalid."""
        try:
            first, _, content = raw.partition(b"\n")
            keys = trusted or TrustedKeys.from_text(json.loads(first)["statement"]["keys"])
            head = verify_statement(BUNDLE_TYPE, first.decode(), keys.statements)
            if hashlib.sha256(content).hexdigest() != head["content_sha256"]:
                raise ProofInvalid("the bundle is not the one that was signed")
            checkpoint = keys.verify_resting_on(head["checkpoint"], first.decode())
            listed, _, rest = content.partition(b"\n")
            standings = verify_standings(listed.decode(), keys)
            *lines, leaves = rest.split(b"\n", head["clips"])
            clips = {clip.clip_id: clip for clip in map(BundledClip.from_line, lines)}
            if standings.checkpoint != head["checkpoint"] or len(clips) != head["clips"]:
                raise ProofInvalid("the parts of the bundle are not of one moment")
            bundle = cls(head, keys, checkpoint, standings, clips, leaves, clock)
            bundle._prove()
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as exc:
            raise ProofInvalid("not a bundle, or not a whole one") from exc
        return bundle

    def standing(
        self, clip_id: str, consent_id: str | None, consent_version: int | None
    ) -> tuple[Standing, float]:
        """As the ledger would have answered at `as_of`; a consent that ran out since is seen to have expired."""
        clip = self._clips.get(clip_id)
        if clip is None or (clip.told.get("consent"), clip.told.get("version")) != (
            consent_id,
            consent_version,
        ):
            return Standing.UNKNOWN, self.as_of
        if clip.state is Standing.LIVE and consent_id is not None:
            return self.standings.of(consent_id, self._clock())
        return clip.state, self.as_of

    def knows_clip(self, clip_id: str, audio_sha256: str) -> bool | None:
        clip = self._clips.get(clip_id)
        return clip.audio_sha256 == audio_sha256 if clip is not None and clip.audio_sha256 else None

    def logged_at(self, clip_id: str, audio_sha256: str) -> float | None:
        clip = self._clips.get(clip_id)
        told = None if clip is None or clip.closing is None else json.loads(clip.closing)
        return float(told["at"]) if told is not None and told.get("audio") == audio_sha256 else None

    def marked_clip(self, mark: WatermarkTag) -> ClipRecord | None:
        """Without a fingerprint: a candidate that nothing here can confirm."""
        clip = self._marks.get((mark.epoch, mark.tag))
        return None if clip is None else self._record(clip)

    def watermark_keys(self) -> dict[int, bytes]:
        """None: the keys of the marks are secret, and a bundle is not."""
        return {}

    def verify_in_log(self, clip_id: str, leaf: int, checkpoint: str) -> None:
        """Raises ProofInvalid unless what a clip says of the log holds: its leaf is about it, and the checkpoint
        it was given is of this log's past."""
        seen = self._keys.verify_checkpoint(checkpoint)
        clip = self._clips.get(clip_id)
        if seen.size > self.checkpoint.size:
            raise ProofInvalid("the clip is younger than the bundle; ask for a newer one")
        if clip is None or clip.leaf != leaf or leaf >= seen.size:
            raise ProofInvalid("the log holds nothing of this clip where the clip says it does")
        if seen.origin != self.checkpoint.origin or self._tree(seen.size).root() != seen.root:
            raise ProofInvalid("the log has been rewritten since the clip was made")

    def _prove(self) -> None:
        """The log is the one that was signed, and every clip's entry is in it."""
        size = self.checkpoint.size
        if len(self._leaves) != size * HASH_BYTES or self._tree(size).root() != self.checkpoint.root:
            raise ProofInvalid("the leaves are not the ones the checkpoint was signed over")
        for clip in self._clips.values():
            if not 0 <= clip.leaf < size or self._leaf(clip.leaf) != leaf_hash(clip.entry.encode()):
                raise ProofInvalid("a clip's entry is not in the log")
            if clip.told.get("clip") != clip.clip_id:
                raise ProofInvalid("a clip's entry is about another clip")
            if clip.closing is not None:
                self._prove_closing(clip, clip.closing, clip.closing_leaf)

    def _prove_closing(self, clip: BundledClip, closing: str, leaf: int | None) -> None:
        if leaf is None or not 0 <= leaf < self.checkpoint.size:
            raise ProofInvalid("what closed a clip is not in the log")
        if self._leaf(leaf) != leaf_hash(closing.encode()):
            raise ProofInvalid("what closed a clip is not in the log")
        told = json.loads(closing)
        if told.get("kind") != "speech.closed" or told.get("clip") != clip.clip_id:
            raise ProofInvalid("what closed a clip is about another one")

    def _tree(self, size: int) -> Frontier:
        tree = Frontier()
        for index in range(size):
            tree, _ = tree.append(self._leaf(index))
        return tree

    def _leaf(self, index: int) -> bytes:
        return self._leaves[index * HASH_BYTES : (index + 1) * HASH_BYTES]

    def _record(self, clip: BundledClip) -> ClipRecord:
        told = clip.told
        return ClipRecord(
            clip_id=clip.clip_id,
            tenant=self.tenant,
            voice_id=told["voice"],
            basis=told["basis"],
            consent_id=told.get("consent"),
            consent_version=told.get("version"),
            purpose=told["purpose"],
            grantee="",
            audit_leaf=clip.leaf,
            audio_sha256=clip.audio_sha256,
            seconds=0.0,
            created_at=told["at"],
            state="live" if clip.state.may_leave else "withdrawn",
            watermark=None if clip.mark is None else WatermarkTag(*clip.mark),
        )

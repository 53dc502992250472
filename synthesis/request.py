"""From a request to the gate's claim, and from a grant that was used up to the engine's request (DESIGN I1)."""

from __future__ import annotations

from consent_service.errors import GrantMismatch
from consent_service.grants import Grant, Utterance, VerifiedGrant
from consent_service.models import Redeemed, SpeechClaim
from consent_service.vault.sealing import ReplicaKey, open_reference
from speech.engine import (
    CloneRequest,
    CustomVoiceRequest,
    DesignRequest,
    EngineInfo,
    Mode,
    Reference,
    SpeechRequest,
)
from speech.errors import SpeakerUnknown
from synthesis.voice import Design, LedgerVoice, Preset, VoiceRef, voice_of


def speech_claim(
    voice: VoiceRef,
    utterance: Utterance,
    *,
    purpose: str | None = None,
    consent_token: str | None = None,
    territory: str | None = None,
    channel: str | None = None,
) -> SpeechClaim:
    """What the gate is asked. purpose: None for the key's only one."""
    mode: Mode
    match voice:
        case LedgerVoice(voice_id):
            mode = "clone"
        case Preset(voice_id):
            mode = "custom"  # the gate's word for a preset, as in its HTTP contract and its log
        case Design():
            mode, voice_id = "design", ""
    return SpeechClaim(
        mode=mode,
        voice_id=voice_id,
        language=utterance.language,
        said_digest=utterance.digest(),
        characters=utterance.characters,
        purpose=purpose,
        consent_token=consent_token,
        territory=territory,
        channel=channel,
    )


def require_speaker(info: EngineInfo, grant: Grant) -> None:
    """Call it before the grant is used up: a preset that the engine lacks costs neither a grant nor an audit entry.
    Raises SpeakerUnknown."""
    voice = voice_of(grant)
    known = {speaker.casefold() for speaker in info.speakers}
    if isinstance(voice, Preset) and voice.name.casefold() not in known:
        raise SpeakerUnknown(f"no preset speaker of that name; choose one of {', '.join(info.speakers)}")


def require_same_grant(verified: VerifiedGrant, redeemed: Redeemed) -> None:
    """Raises GrantMismatch where the gate used up another grant than the one it was asked for."""
    if redeemed.grant != verified.grant:
        raise GrantMismatch("the gate answered for another grant")


def engine_request(
    verified: VerifiedGrant, redeemed: Redeemed, utterance: Utterance, seed: int, key: ReplicaKey
) -> SpeechRequest:
    """What the engine is asked, by the basis of the grant. The reference is opened here, in memory (DESIGN I6).

    key: the one that the reference was sealed to. Raises VaultError, RequestInvalid for a reference that is no WAV
    file, UngrantedClone for another utterance than the granted one.
    """
    grant = verified.grant
    match voice_of(grant):
        case LedgerVoice():
            reference = Reference.from_wav(*open_reference(key, redeemed))
            return CloneRequest(verified, utterance, reference, seed)
        case Preset(name):
            return CustomVoiceRequest(grant.grant_id, utterance, name, seed)
        case Design():
            return DesignRequest(grant.grant_id, utterance, seed)

"""What a clip says of itself: one value, rendered to every form that a law or a reader needs.

Rendered by `provenance.manifest` (C2PA assertions) and by `provenance.labels` (GB 45438 label, HTTP headers, signed
token, texts for people). California's SB 942 asks for provider, system, version, time and a unique id: they are
fields here, so they are in every one of those forms.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Disclosure:
    """No name of a person and no text: identifiers that lead back to the ledger, and how the clip was made."""

    clip_id: str
    voice_id: str
    basis: str  # consent | designed | preset | design
    consent_id: str | None
    consent_version: int | None
    purpose: str
    language: str
    generated_at: float  # Unix seconds
    provider: str
    system_version: str
    engine: str
    model: str
    model_digest: str
    is_clone: bool  # False: the engine imitates no one
    audit_leaf: int
    checkpoint: str  # C2SP signed note
    profile: str = "default"
    system: str = "Vouch"
    keyed_epoch: int | None = (
        None  # under whose key the keyed mark was put in; None: by whoever stamps without one
    )

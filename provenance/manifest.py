"""Disclosure ↔ C2PA manifest (Content Credentials, C2PA specification 2.x).

The manifest says what made the clip (`c2pa.created`, IPTC digital source type), which watermarks were put in,
and, in an assertion of our own, the identifiers that lead back to the ledger. It never holds a text, a
recording or a person's name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Final

from provenance.disclosure import Disclosure

DISCLOSURE_LABEL: Final = "org.vouch.disclosure"
SOFT_BINDING: Final = "c2pa.soft-binding"
KEYED_MARK: Final = "org.vouch.keyed-mark.1"
ACTIONS: Final = "c2pa.actions"
ASSERTION_VERSION: Final = 1

_IPTC: Final = "http://cv.iptc.org/newscodes/digitalsourcetype/"
GENERATED: Final = _IPTC + "trainedAlgorithmicMedia"
SYNTHETIC_SOURCES: Final = frozenset(
    {GENERATED, _IPTC + "compositeWithTrainedAlgorithmicMedia", _IPTC + "algorithmicMedia"}
)


def definition(
    disclosure: Disclosure, media_type: str = "audio/wav", *, presence: bool = True
) -> dict[str, Any]:
    """The manifest definition that c2pa's Builder takes. presence: False for a stream, which carries the keyed mark
    alone: the presence mark needs the whole clip."""
    agent = {"name": disclosure.system, "version": disclosure.system_version}
    when = _rfc3339(disclosure.generated_at)
    actions = [
        {"action": "c2pa.created", "digitalSourceType": GENERATED, "softwareAgent": agent, "when": when}
    ]
    if presence:  # unbound: it carries no identifier that leads back to this manifest
        actions.append({"action": "c2pa.watermarked.unbound", "softwareAgent": agent, "when": when})
    assertions = [{"label": DISCLOSURE_LABEL, "data": assertion(disclosure)}]
    if disclosure.keyed_epoch is not None:
        actions.append({"action": "c2pa.watermarked.bound", "softwareAgent": agent, "when": when})
        assertions.append({"label": SOFT_BINDING, "data": _soft_binding(disclosure)})
    done = {"label": f"{ACTIONS}.v2", "data": {"actions": actions, "allActionsIncluded": True}}
    return {"claim_generator_info": [agent], "format": media_type, "assertions": [done, *assertions]}


def _soft_binding(disclosure: Disclosure) -> dict[str, Any]:
    """That a mark leads from the sound to this clip. The mark itself is not named: it would help to imitate it."""
    return {"alg": KEYED_MARK, "blocks": [{"scope": {}, "value": disclosure.clip_id}]}


def assertion(disclosure: Disclosure) -> dict[str, Any]:
    """Our assertion: every field of the disclosure that is set, the time as RFC 3339."""
    body = {key: value for key, value in asdict(disclosure).items() if value is not None}
    return {**body, "generated_at": _rfc3339(disclosure.generated_at), "v": ASSERTION_VERSION}


def disclosure_from(body: object) -> Disclosure | None:
    """The reverse of `assertion`; None for anything that this version does not understand."""
    if not isinstance(body, Mapping) or body.get("v") != ASSERTION_VERSION:
        return None
    fields = {key: value for key, value in body.items() if key != "v"}
    try:
        generated_at = datetime.fromisoformat(fields.pop("generated_at")).timestamp()
        optional = {"consent_id": None, "consent_version": None, "keyed_epoch": None}
        return Disclosure(**{**optional, **fields}, generated_at=generated_at)
    except (KeyError, TypeError, ValueError):
        return None


def _rfc3339(unix: float) -> str:
    return datetime.fromtimestamp(unix, UTC).isoformat(timespec="milliseconds")

"""What a file was made from, as C2PA says it: parents and components, each with its own manifest (C2PA 2.x, §9.3).

A transcode has one parent; a chapter has a component for each of its clips. Their manifests travel inside the new
one, under its signature, so the consent behind every part is found in the whole.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import c2pa

from provenance.disclosure import Disclosure
from provenance.manifest import DISCLOSURE_LABEL, disclosure_from

COMPOSITE: Final = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
MOST_PARENTS: Final = 64
_MARKED: Final = "c2pa.watermarked.unbound"
_VALIDATED: Final = "ingredient.manifest.validated"
_NOT_VALIDATED: Final = "ingredient.manifest.missing"  # C2PA's code for one that cannot be found
_MOST_BELOW: Final = 1024


@dataclass(frozen=True, slots=True)
class Parent:
    """A file with its manifest inside, or beside it: `sidecar`, and how c2pa found that to hold, as its reader says."""

    data: bytes = field(repr=False)
    media_type: str
    sidecar: bytes | None = field(default=None, repr=False)
    found: Mapping[str, Any] | None = field(default=None, repr=False)


def derived(said: Mapping[str, Any], parents: Sequence[Parent]) -> dict[str, Any]:
    """A definition that says of what its file was made, in place of how."""
    actions_of, *others = said["assertions"]
    first = actions_of["data"]["actions"][0]
    common = {name: first[name] for name in ("softwareAgent", "when")}
    ids = [_id(number) for number in range(len(parents))]
    if len(parents) == 1:
        actions = [
            {"action": "c2pa.opened", "parameters": {"ingredientIds": ids}, **common},
            {"action": "c2pa.transcoded", **common},
        ]
    else:
        placed = ({"action": "c2pa.placed", "parameters": {"ingredientIds": [one]}, **common} for one in ids)
        actions = [{"action": "c2pa.created", "digitalSourceType": COMPOSITE, **common}, *placed]
    # A stream has no presence mark until a whole file is made of it.
    actions += [one for one in actions_of["data"]["actions"] if one["action"] == _MARKED]
    told = {**actions_of, "data": {"actions": actions, "allActionsIncluded": True}}
    kept = [
        one for one in others if one["label"] == DISCLOSURE_LABEL
    ]  # the parents say which marks they carry
    return {**said, "assertions": [told, *kept]}


def attach(builder: c2pa.Builder, parents: Sequence[Parent]) -> None:
    relationship = "parentOf" if len(parents) == 1 else "componentOf"
    for number, parent in enumerate(parents):
        told: dict[str, Any] = {"label": _id(number), "title": "clip", "relationship": relationship}
        if parent.sidecar is not None:
            # c2pa looks for an ingredient's manifest inside it; one that lies beside it is given with its validation.
            where = f"{_id(number)}.c2pa"
            told |= {
                "manifest_data": {"format": "application/c2pa", "identifier": where},
                **(parent.found or {}),
            }
            builder.add_resource(where, io.BytesIO(parent.sidecar))
        builder.add_ingredient(told, parent.media_type, io.BytesIO(parent.data))


def read_parents(told: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    """Our assertions in the manifests at the bottom: of ingredients that were themselves made of nothing of ours. None
    where a manifest on the way there does not hold.

    A form of a clip, or a chapter, is in no register; what it was made of is. told: what c2pa's reader says of a
    store. The active claim covers each ingredient's manifest by its hash; whether that claim is ours is not asked here.
    """
    if faults(told):
        return ()
    active = str(told["active_manifest"])
    ours = {label: said for label in _below(told, active) if (said := assertion_in(told["manifests"][label]))}
    above = _above(told, active, ours)
    return tuple(said for label, said in ours.items() if label not in above)


def faults(told: Mapping[str, Any]) -> tuple[str, ...]:
    """Codes of what does not hold in the manifests of the ingredients. c2pa counts none of it against the file, and
    its hash leaves it out like every manifest."""
    results = [delta["validationDeltas"] for delta in told["validation_results"].get("ingredientDeltas", ())]
    codes = [str(entry["code"]) for result in results for entry in result["failure"]]
    # c2pa tells of those of the active claim; of what lies deeper, only what no longer holds.
    validated = sum(any(e["code"] == _VALIDATED for e in result["success"]) for result in results)
    if validated < len(told["manifests"][str(told["active_manifest"])].get("ingredients", ())):
        codes.append(_NOT_VALIDATED)
    return tuple(dict.fromkeys(codes))


def assertion_in(manifest: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Ours, where there is exactly one."""
    bodies = [one["data"] for one in manifest.get("assertions", ()) if one["label"] == DISCLOSURE_LABEL]
    return bodies[0] if len(bodies) == 1 else None


def disclosures(assertions: Sequence[Mapping[str, Any]]) -> tuple[Disclosure, ...]:
    return tuple(one for one in map(disclosure_from, assertions) if one is not None)


def _below(told: Mapping[str, Any], active: str) -> list[str]:
    """Labels of the manifests below the active one, each once, and no more than a store can hold honestly."""
    found: list[str] = []
    waiting = [active]
    while waiting and len(found) < _MOST_BELOW:
        for one in told["manifests"][waiting.pop(0)].get("ingredients", ())[:MOST_PARENTS]:
            label = str(one.get("active_manifest", active))
            if label != active and label not in found:
                found.append(label)
                waiting.append(label)
    return found


def _above(told: Mapping[str, Any], active: str, some: Iterable[str]) -> set[str]:
    """Labels of the manifests that have one of these below them."""
    users: dict[str, list[str]] = {}
    for user in (active, *_below(told, active)):
        for one in told["manifests"][user].get("ingredients", ())[:MOST_PARENTS]:
            users.setdefault(str(one.get("active_manifest", "")), []).append(user)
    found: set[str] = set()
    waiting = list(some)
    while waiting:
        new = set(users.get(waiting.pop(), ())) - found
        found |= new
        waiting.extend(new)
    return found


def _id(number: int) -> str:
    return f"parent-{number}"

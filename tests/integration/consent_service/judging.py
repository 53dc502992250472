"""The judge of what several processes did at once: the log's own order, read from the first entry to the last.

It knows the rules and nothing of the program: what is recorded in the log as given, narrowed, withdrawn and ended is
all that may be spoken under.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Agreement:
    """A consent as the log has it."""

    voice: str
    version: int
    valid_from: float
    valid_until: float
    budget: int | None
    live: bool = True
    spoken: int = 0


@dataclass
class Judge:
    """Feed it every entry in order; it raises AssertionError at the first that should not be there."""

    consents: dict[str, Agreement] = field(default_factory=dict)
    epochs: Counter[str] = field(default_factory=Counter)
    ended: set[str] = field(default_factory=set)
    withdrawn: set[str] = field(default_factory=set)  # voices with a consent that was
    redeemed: dict[str, int] = field(default_factory=dict)
    closed: set[str] = field(default_factory=set)
    kinds: Counter[str] = field(default_factory=Counter)
    size: int = 0

    def hear(self, entries: Iterable[Mapping[str, Any]]) -> None:
        for number, entry in enumerate(entries):
            assert entry["n"] == number, "the log has a gap"
            self.size = number + 1
            self.kinds[entry["kind"]] += 1
            about = _METHODS.get(entry["kind"])
            if about is not None:
                getattr(self, about)(entry)

    def recorded(self, entry: Mapping[str, Any]) -> None:
        assert entry["voice"] not in self.ended, "a consent for a voice that has ended"
        self.kinds["consent.recorded.after_a_withdrawal"] += entry["voice"] in self.withdrawn
        terms = (entry["valid_from"], entry["valid_until"], entry.get("budget"))
        self.consents[entry["consent"]] = Agreement(entry["voice"], entry["version"], *terms)

    def narrowed(self, entry: Mapping[str, Any]) -> None:
        before = self.consents[entry["consent"]]
        assert before.live, "a consent was narrowed after it was withdrawn"
        assert entry["version"] == before.version + 1
        before.version, before.valid_until, before.budget = (
            entry["version"],
            entry["valid_until"],
            entry.get("budget"),
        )
        self.epochs[before.voice] += 1

    def revoked(self, entry: Mapping[str, Any]) -> None:
        consent = self.consents[entry["consent"]]
        assert consent.live, "a consent was withdrawn twice"
        consent.live = False
        self.withdrawn.add(consent.voice)
        self.epochs[consent.voice] += 1

    def decommissioned(self, entry: Mapping[str, Any]) -> None:
        self.ended.add(entry["voice"])
        for consent in self.consents.values():
            consent.live = consent.live and consent.voice != entry["voice"]

    def spoken(self, entry: Mapping[str, Any]) -> None:
        grant, consent = entry["grant"], self.consents[entry["consent"]]
        assert grant not in self.redeemed, "a grant was redeemed twice"
        assert entry["voice"] not in self.ended, "a voice spoke after its end"
        assert consent.live, "a grant was redeemed after its consent was withdrawn"
        assert consent.voice == entry["voice"]
        assert consent.version == entry["version"], "a grant of an earlier version was redeemed"
        assert consent.valid_from <= entry["at"] < consent.valid_until, (
            "a consent that had ended was spoken under"
        )
        assert entry["epoch"] == self.epochs[entry["voice"]] + 1, "a grant of an earlier epoch was redeemed"
        consent.spoken += entry["characters"]
        assert consent.budget is None or consent.spoken <= consent.budget, (
            "more was spoken than is allowed in all"
        )
        self.redeemed[grant] = entry["n"]

    def ended_grant(self, entry: Mapping[str, Any]) -> None:
        assert entry["grant"] in self.redeemed, "a grant was closed that nobody had redeemed"
        assert entry["grant"] not in self.closed, "a grant was closed twice"
        self.closed.add(entry["grant"])


_METHODS = {
    "consent.recorded": "recorded",
    "consent.narrowed": "narrowed",
    "consent.revoked": "revoked",
    "voice.decommissioned": "decommissioned",
    "speech.redeemed": "spoken",
    "speech.closed": "ended_grant",
}

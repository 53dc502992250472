"""A file that was made from clips of ours leads to the consent behind each of them."""

from __future__ import annotations

import io

import c2pa
import pytest
import soundfile

from consent_service.proofs.records import Standing
from provenance.audio import encode_wav
from provenance.derive import Signed, derive
from provenance.errors import StampFailed
from provenance.ingredients import faults, read_parents
from provenance.manifest import DISCLOSURE_LABEL
from provenance.stamp import StampedClip, Stamper
from provenance.trust import TrustContext
from provenance.verdict import Integrity, Note, Origin, Verdict
from provenance.verify import Verifier
from tests.unit.provenance.authority import Authority
from tests.unit.provenance.conftest import RATE, Register, a_disclosure, speech_like
from tests.unit.provenance.hostile import encoded

CHAPTER = a_disclosure(clip_id="f" * 32, consent_id=None, consent_version=None)


class Ledger(Register):
    """A standing for each clip; the chapter itself is not registered."""

    def __init__(self, standings: dict[str, Standing]) -> None:
        super().__init__(knows=None)
        self._standings = standings

    def standing(
        self, clip_id: str, consent_id: str | None, consent_version: int | None
    ) -> tuple[Standing, float]:
        self.asked.append((clip_id, consent_id, consent_version))
        return self._standings.get(clip_id, Standing.UNKNOWN), 1_800_000_000.0


@pytest.fixture(scope="module")
def parents(stamper: Stamper) -> list[StampedClip]:
    return [
        stamper.stamp(
            speech_like(1.0, seed=seed), RATE, a_disclosure(clip_id=name * 32, consent_id=f"consent_{name}")
        )
        for seed, name in ((31, "a"), (32, "b"))
    ]


def made_from(authority: Authority, clips: list[bytes], made: bytes) -> Signed:
    trust = TrustContext(authority.root_pem)
    return derive([Signed(clip) for clip in clips], made, CHAPTER, signer=authority.signer, trust=trust)


def chapter(authority: Authority, parents: list[StampedClip]) -> bytes:
    return made_from(
        authority, [one.data for one in parents], encode_wav(speech_like(2.0, seed=33), RATE)
    ).data


def looked_at(authority: Authority, data: bytes, **standings: Standing) -> tuple[Verdict, Ledger]:
    ledger = Ledger({name * 32: standing for name, standing in standings.items()})
    return Verifier(authority.root_pem, ledger).verify(data), ledger


@pytest.mark.parametrize("form", ["wav", "flac", "mp3", "m4a"])
def test_a_transcode_leads_to_its_parents_consent(
    authority: Authority, parents: list[StampedClip], form: str
) -> None:
    samples, _ = soundfile.read(io.BytesIO(parents[0].data), dtype="float32")
    data = made_from(authority, [parents[0].data], encoded(samples, form)).data
    verdict, ledger = looked_at(authority, data, a=Standing.WITHDRAWN)
    assert (verdict.origin, verdict.integrity, verdict.standing) == (
        Origin.OURS, Integrity.INTACT, Standing.WITHDRAWN,
    )  # fmt: skip
    assert ledger.asked == [("a" * 32, "consent_a", 2)]
    assert verdict.notes == (Note.DERIVED,)
    assert [one["clip_id"] for one in verdict.evidence["made_from"]] == ["a" * 32]


def test_a_transcode_that_has_no_room_for_its_manifest_has_it_beside(
    authority: Authority, parents: list[StampedClip]
) -> None:
    derived = made_from(authority, [parents[0].data], encoded(speech_like(1.0), "opus"))
    verdict = Verifier(authority.root_pem, Ledger({"a" * 32: Standing.LIVE})).verify(
        derived.data, derived.manifest
    )
    assert (verdict.origin, verdict.integrity, verdict.standing) == (
        Origin.OURS,
        Integrity.INTACT,
        Standing.LIVE,
    )


@pytest.mark.parametrize(
    ("first", "second", "whole"),
    [
        (Standing.LIVE, Standing.LIVE, Standing.LIVE),
        (Standing.LIVE, Standing.WITHDRAWN, Standing.WITHDRAWN),
        (Standing.EXPIRED, Standing.LIVE, Standing.EXPIRED),
        (Standing.WITHDRAWN, Standing.DECOMMISSIONED, Standing.DECOMMISSIONED),
        (Standing.LIVE, Standing.UNKNOWN, Standing.UNKNOWN),
        (Standing.NOT_REQUIRED, Standing.LIVE, Standing.LIVE),
    ],
)
def test_a_chapter_stands_no_better_than_the_least_of_its_clips(
    authority: Authority, parents: list[StampedClip], first: Standing, second: Standing, whole: Standing
) -> None:
    verdict, ledger = looked_at(authority, chapter(authority, parents), a=first, b=second)
    assert (verdict.origin, verdict.integrity, verdict.standing) == (Origin.OURS, Integrity.INTACT, whole)
    assert {asked[0] for asked in ledger.asked} == {"a" * 32, "b" * 32}
    assert verdict.names == ("a" * 32, "b" * 32), "those whose register knows them, and who may see them"


def test_a_chapter_of_chapters_leads_all_the_way_down(
    authority: Authority, parents: list[StampedClip]
) -> None:
    book = made_from(authority, [chapter(authority, parents)], encode_wav(speech_like(2.0, seed=34), RATE))
    verdict, ledger = looked_at(authority, book.data, a=Standing.LIVE, b=Standing.WITHDRAWN, f=Standing.LIVE)
    assert verdict.standing is Standing.WITHDRAWN
    assert {asked[0] for asked in ledger.asked} == {"a" * 32, "b" * 32}
    verdict, _ = looked_at(authority, book.data, a=Standing.LIVE, b=Standing.LIVE)
    assert (verdict.standing, verdict.names) == (Standing.LIVE, ("a" * 32, "b" * 32))


def test_what_stands_between_is_left_out_whoever_made_it() -> None:
    def said(clip: str) -> dict[str, object]:
        return {"label": DISCLOSURE_LABEL, "data": {"clip": clip}}

    def below(*labels: str) -> dict[str, object]:
        return {"ingredients": [{"active_manifest": label} for label in labels]}

    told = {
        "active_manifest": "book",
        "manifests": {
            "book": below("chapter", "loose"),
            "chapter": {"assertions": [said("chapter")], **below("theirs")},
            "theirs": below("clip"),
            "clip": {"assertions": [said("clip")]},
            "loose": {"assertions": [said("loose")]},
        },
        "validation_results": {
            "ingredientDeltas": [
                {"validationDeltas": {"success": [{"code": "ingredient.manifest.validated"}], "failure": []}}
            ]
            * 2
        },
    }
    assert [one["clip"] for one in read_parents(told)] == ["loose", "clip"]


def test_c2pa_alone_trusts_a_chapter_and_sees_its_ingredients(
    authority: Authority, parents: list[StampedClip]
) -> None:
    settings = {"trust": {"trust_anchors": authority.root_pem.decode()}}
    data = io.BytesIO(chapter(authority, parents))
    with c2pa.Reader("audio/wav", data, context=c2pa.Context.from_dict(settings)) as reader:
        assert reader.get_validation_state() == "Trusted"
        assert reader.json().count('"relationship": "componentOf"') == 2


@pytest.mark.parametrize("deep", [False, True], ids=["in a chapter", "in a book"])
def test_what_a_parent_said_cannot_be_changed_inside_its_child(
    authority: Authority, parents: list[StampedClip], deep: bool
) -> None:
    data = chapter(authority, parents)
    if deep:
        data = made_from(authority, [data], encode_wav(speech_like(2.0, seed=34), RATE)).data
    changed = data.replace(b"consent_a", b"consent_z")
    assert changed != data
    verdict, ledger = looked_at(authority, changed, a=Standing.LIVE, b=Standing.LIVE)
    assert (verdict.integrity, verdict.standing) == (Integrity.ALTERED, Standing.UNKNOWN)
    assert all(consent != "consent_z" for _, consent, _ in ledger.asked)


def test_an_ingredient_that_c2pa_does_not_vouch_for_is_a_fault() -> None:
    """Whatever its reason is for saying nothing of one."""
    told = {
        "active_manifest": "a",
        "manifests": {"a": {"ingredients": [{"active_manifest": "b"}]}, "b": {}},
        "validation_results": {},
    }
    assert faults(told) == ("ingredient.manifest.missing",)
    assert read_parents(told) == ()


def test_a_stranger_is_not_told_what_a_file_was_made_from(
    authority: Authority, parents: list[StampedClip]
) -> None:
    verdict, _ = looked_at(authority, chapter(authority, parents), a=Standing.LIVE, b=Standing.LIVE)
    told = verdict.public().to_json()
    assert told.keys() == {"origin", "integrity", "notes", "sentence"}
    assert "consent" not in str(told)


def test_only_whole_clips_of_ours_may_be_parents(authority: Authority, parents: list[StampedClip]) -> None:
    made = encode_wav(speech_like(1.0), RATE)
    whole = parents[0].data
    altered = whole[:20_000] + bytes([whole[20_000] ^ 1]) + whole[20_001:]
    theirs = Stamper(Authority.create("Somebody").signer).stamp(speech_like(1.0), RATE, a_disclosure()).data
    for bad in (made, altered, theirs, b"", b"RIFF"):
        with pytest.raises(StampFailed):
            made_from(authority, [whole, bad], made)
    with pytest.raises(StampFailed):
        made_from(authority, [], made)

"""The person whose voice it is: reached at a contact that only they can move, signed in by a link that works once, and
shown what is theirs and nothing else."""

from __future__ import annotations

import json
import logging
import string
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from consent_service.errors import (
    Conflict,
    GrantRevoked,
    InvalidInput,
    LinkInvalid,
    MessageNotSent,
    NotFound,
    PermissionDenied,
    RateLimited,
    Unauthenticated,
)
from consent_service.mail import Message
from consent_service.models import ContactState, Principal, Role
from consent_service.proofs.receipt import verify_receipt
from consent_service.proofs.records import KeyPurpose
from consent_service.subjects import contacts, links
from consent_service.subjects.links import LinkKind
from tests.assets.installation import DAY, Tenant
from tests.unit.consent_service.operations import OPERATIONS
from tests.unit.consent_service.post import Letter, letters

MARY = "mary@example.org"


def post(world: Tenant) -> list[Letter]:
    return letters(world.data_dir)


def confirm(world: Tenant, voice_id: str, contact: str = MARY) -> None:
    world.service.subjects.propose_contact(world.admin, voice_id, contact)
    assert world.service.self_service.confirm_contact(post(world)[-1].token) is ContactState.CONFIRMED


def sign_in(world: Tenant, contact: str = MARY) -> Principal:
    before = len(post(world))
    world.service.self_service.request_sign_in(world.admin.tenant, contact)
    sent = post(world)[before:]
    session = world.service.self_service.sign_in(sent[-1].token)
    return world.service.authenticate(session.api_key)


@pytest.fixture
def mary(world: Tenant) -> Principal:
    confirm(world, world.voice.voice_id)
    return sign_in(world)


# the contact
def test_a_contact_counts_once_its_link_was_used_and_the_link_works_once(world: Tenant) -> None:
    asked = world.service.subjects.propose_contact(world.admin, world.voice.voice_id, "Mary@Example.org ")
    assert asked is ContactState.CONFIRMATION_PENDING
    letter = post(world)[-1]
    assert letter.to == MARY
    world.service.self_service.request_sign_in("acme", MARY)
    assert len(post(world)) == 1  # nobody signs in with a contact that nobody confirmed
    assert world.service.self_service.confirm_contact(letter.token) is ContactState.CONFIRMED
    with pytest.raises(LinkInvalid):
        world.service.self_service.confirm_contact(letter.token)
    with pytest.raises(Conflict) as again:
        world.service.subjects.propose_contact(world.admin, world.voice.voice_id, MARY)
    assert again.value.code == "contact_unchanged"
    assert sign_in(world).roles == {Role.SUBJECT}


def test_an_enrolment_sends_the_link_to_the_contact_that_it_was_given(world: Tenant) -> None:
    def begin(contact: str) -> Any:
        return world.service.voices.begin_enrolment(
            world.admin, name="n", language="en", grantee="g", purpose="narration", subject_name="s",
            contact=contact,
        )  # fmt: skip

    begin(MARY)
    assert [letter.to for letter in post(world)] == [MARY]
    voices = len(world.service.voices.list_all(world.admin))
    for wrong in (
        "mary",
        "mary@",
        "@example.org",
        "a b@example.org",
        "mary@example.org\nBcc: x@y.z",
        "<m@e.o>",
    ):
        with pytest.raises(InvalidInput) as refused:
            begin(wrong)
        assert refused.value.code == "contact_invalid"
    assert len(world.service.voices.list_all(world.admin)) == voices  # nothing was begun


def test_who_administers_voices_can_not_move_a_confirmed_contact(world: Tenant) -> None:
    confirm(world, world.voice.voice_id)
    asked = world.service.subjects.propose_contact(world.admin, world.voice.voice_id, "thief@example.net")
    assert asked is ContactState.CHANGE_PENDING
    agree = post(world)[-1]
    assert agree.to == MARY  # the question goes to who is reached there now
    assert "thief@example.net" in agree.text
    before = len(post(world))
    world.service.self_service.request_sign_in("acme", "thief@example.net")
    assert len(post(world)) == before
    assert sign_in(world).subject_id  # and she is still reached

    # She agrees: only then is the new contact asked, and it counts once it answered.
    assert world.service.self_service.confirm_contact(agree.token) is ContactState.CONFIRMATION_PENDING
    confirm_new = post(world)[-1]
    assert confirm_new.to == "thief@example.net"
    session = sign_in(world)
    assert world.service.self_service.confirm_contact(confirm_new.token) is ContactState.CONFIRMED
    with pytest.raises(Unauthenticated):
        world.service.self_service.own_voices(session)  # sessions of the old contact end with it
    assert sign_in(world, "thief@example.net").subject_id
    before = len(post(world))
    world.service.self_service.request_sign_in("acme", MARY)
    assert len(post(world)) == before


def test_a_later_proposal_takes_an_earlier_one_s_link_away(world: Tenant) -> None:
    world.service.subjects.propose_contact(world.admin, world.voice.voice_id, "typo@example.org")
    world.service.subjects.propose_contact(world.admin, world.voice.voice_id, MARY)
    first, second = post(world)
    with pytest.raises(LinkInvalid):
        world.service.self_service.confirm_contact(first.token)
    assert world.service.self_service.confirm_contact(second.token) is ContactState.CONFIRMED


def test_a_designed_voice_has_nobody_to_reach(world: Tenant) -> None:
    with world.core.ledger.write() as connection:
        connection.exec_driver_sql("UPDATE voices SET subject_id = NULL")
    with pytest.raises(NotFound) as refused:
        world.service.subjects.propose_contact(world.admin, world.voice.voice_id, MARY)
    assert refused.value.code == "subject_unknown"


# links
SPOILED: list[Callable[[str], str]] = [
    lambda token: "",
    lambda token: token[:-1],
    lambda token: token + "A",
    lambda token: token.replace(".", ""),
    lambda token: ".".join(reversed(token.split("."))),
    lambda token: "é" + token[1:],
    lambda token: "\ud800",
    lambda token: token * 100,
]


@pytest.mark.parametrize("spoil", SPOILED)
def test_a_link_that_nobody_sent_is_refused_in_the_same_words(
    world: Tenant, spoil: Callable[[str], str]
) -> None:
    world.service.subjects.propose_contact(world.admin, world.voice.voice_id, MARY)
    with pytest.raises(LinkInvalid) as refused:
        world.service.self_service.confirm_contact(spoil(post(world)[-1].token))
    assert refused.value.message == "this link is not valid, was used, or has expired; ask for a new one"


def test_every_changed_character_of_a_link_is_found(world: Tenant) -> None:
    world.service.subjects.propose_contact(world.admin, world.voice.voice_id, MARY)
    token = post(world)[-1].token
    for place, character in enumerate(token):
        changed = token[:place] + ("A" if character != "A" else "B") + token[place + 1 :]
        with pytest.raises(LinkInvalid):
            contacts.confirm_contact(world.core, world.service.subjects._post, changed)
    # The last character of a base64 carries unused bits: a decoder would read several as the same.
    alphabet = string.ascii_letters + string.digits + "-_"
    for changed in (token[:-1] + last for last in alphabet if last != token[-1]):
        with pytest.raises(LinkInvalid):
            contacts.confirm_contact(world.core, world.service.subjects._post, changed)
    assert world.service.self_service.confirm_contact(token) is ContactState.CONFIRMED


def test_a_link_is_good_for_what_it_was_sent_for_and_for_a_while(world: Tenant) -> None:
    world.service.subjects.propose_contact(world.admin, world.voice.voice_id, MARY)
    to_confirm = post(world)[-1].token
    with pytest.raises(LinkInvalid):
        world.service.self_service.sign_in(to_confirm)
    world.clock.now += 7 * DAY
    with pytest.raises(LinkInvalid):
        world.service.self_service.confirm_contact(to_confirm)
    confirm(world, world.voice.voice_id)
    world.service.self_service.request_sign_in("acme", MARY)
    to_sign_in = post(world)[-1].token
    with pytest.raises(LinkInvalid):
        world.service.self_service.confirm_contact(to_sign_in)
    world.clock.now += 15 * 60
    with pytest.raises(LinkInvalid):
        world.service.self_service.sign_in(to_sign_in)


def test_a_link_opens_nothing_in_another_tenant_and_no_other_secret_opens_it(world: Tenant) -> None:
    world.service.subjects.propose_contact(world.admin, world.voice.voice_id, MARY)
    tenant, link_id, secret = post(world)[-1].token.split(".")
    unknown = f"link_{32 * '0'}"
    for forged in (
        ("other", link_id, secret), ("nobody", link_id, secret), (tenant, unknown, secret), (tenant, link_id, 43 * "A"),
    ):  # fmt: skip
        with pytest.raises(LinkInvalid):
            world.service.self_service.confirm_contact(".".join(forged))
    assert (
        world.service.self_service.confirm_contact(f"{tenant}.{link_id}.{secret}") is ContactState.CONFIRMED
    )


def test_a_link_that_is_used_twice_at_a_time_works_once(world: Tenant) -> None:
    """Both were found to work; the second looks again under the ledger's lock."""
    world.service.subjects.propose_contact(world.admin, world.voice.voice_id, MARY)
    core, token = world.service._core, post(world)[-1].token
    first, second = (links.verify(core, token, LinkKind.CONFIRM) for _ in range(2))
    with core.write_as("acme") as writing:
        links.use_up(writing, first)
    with pytest.raises(LinkInvalid), core.write_as("acme") as writing:
        links.use_up(writing, second)


def test_no_link_lies_in_the_ledger_in_the_log_or_in_a_repr(
    world: Tenant, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    confirm(world, world.voice.voice_id)
    world.service.self_service.request_sign_in("acme", MARY)
    token = post(world)[-1].token
    session = world.service.self_service.sign_in(token)
    secret = session.api_key.split("_", 2)[2]
    seen = world.dump() + caplog.text + repr(session) + repr(Message(MARY, "s", token))
    for hidden in (token, token.split(".")[2], secret):
        assert hidden not in seen
    assert MARY not in caplog.text + "".join(world.service.log.entries(world.auditor)) + repr(
        Message(MARY, "s", "")
    )


# signing in
def test_an_unknown_contact_gets_the_same_answer_and_no_message(world: Tenant) -> None:
    confirm(world, world.voice.voice_id)
    before = len(post(world)), len(world.log())
    for tenant, contact in (("acme", "nobody@example.org"), ("nowhere", MARY), ("acme", "not an address")):
        assert world.service.self_service.request_sign_in(tenant, contact) is None  # type: ignore[func-returns-value]
    assert (len(post(world)), len(world.log())) == before


def test_a_message_that_can_not_be_sent_is_not_told_to_who_asked(
    world: Tenant, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken:
        def send(self, message: Message) -> None:
            raise MessageNotSent("the mail server did not take the message")

    confirm(world, world.voice.voice_id)
    for sender in (world.service.subjects, world.service.self_service):
        monkeypatch.setattr(sender, "_post", contacts.Mailing(Broken(), "http://page"))
    world.service.self_service.request_sign_in("acme", MARY)
    assert "a sign-in link was not sent" in caplog.text
    assert MARY not in caplog.text
    with pytest.raises(MessageNotSent):  # who administers voices is told
        world.service.subjects.propose_contact(world.admin, world.voice.voice_id, "other@example.org")


def test_a_mailbox_is_not_flooded(world: Tenant) -> None:
    confirm(world, world.voice.voice_id)
    before = len(post(world))
    for _ in range(5):
        world.service.self_service.request_sign_in("acme", MARY)
    assert len(post(world)) - before == contacts.MOST_LINKS
    world.clock.now += 15 * 60
    world.service.self_service.request_sign_in("acme", MARY)
    assert len(post(world)) - before == contacts.MOST_LINKS + 1


def test_an_address_that_asks_for_links_all_the_time_is_told_to_wait(world: Tenant) -> None:
    with pytest.raises(RateLimited):
        for _ in range(100):
            world.service.self_service.request_sign_in("acme", "nobody@example.org", source="203.0.113.7")
    world.service.self_service.request_sign_in("acme", "nobody@example.org", source="203.0.113.8")


def test_a_session_is_short_and_can_be_ended(world: Tenant, mary: Principal) -> None:
    world.clock.now += contacts.SESSION_S - 1
    assert world.service.self_service.own_voices(mary)
    later = sign_in(world)
    world.service.self_service.sign_out(later)
    with pytest.raises(Unauthenticated):
        world.service.self_service.own_voices(later)
    world.clock.now += 1
    with pytest.raises(Unauthenticated):
        world.service.self_service.own_voices(mary)


def test_a_mailbox_behind_several_voices_gets_a_link_for_each_person(world: Tenant) -> None:
    second = world.enrol("Another", 220.0)
    confirm(world, world.voice.voice_id)
    confirm(world, second.voice_id)
    before = len(post(world))
    world.service.self_service.request_sign_in("acme", MARY)
    sent = post(world)[before:]
    seen = set()
    for letter in sent:
        by = world.service.authenticate(world.service.self_service.sign_in(letter.token).api_key)
        (voice,) = world.service.self_service.own_voices(by)
        assert voice.name in letter.text
        seen.add(voice.voice_id)
    assert seen == {world.voice.voice_id, second.voice_id}


# what is theirs
def spoken(world: Tenant, text: str, **claim: Any) -> str:
    allowed = world.allow(text, **claim)
    redeemed = world.service.gate.redeem(allowed.token, world.replica.replica_id)
    record = world.service.clips.find_clip(world.admin.tenant, redeemed.grant.clip_id)
    assert record is not None
    world.service.clips.register_clip(replace(record, audio_sha256="ab" * 32, seconds=1.5))
    return record.clip_id


def test_a_person_sees_every_use_of_their_voice_and_nobody_else_s(world: Tenant, mary: Principal) -> None:
    first = spoken(world, "hello")
    world.clock.now += 60
    second = spoken(world, "good morning", purpose="narration.audiobook")
    again = world.allow("hello")
    world.service.gate.redeem_cached(again.token, first)
    spoken(world, "a preset", mode="custom", voice_id="Vivian")
    uses = world.service.self_service.own_uses(mary).uses
    assert [(use.clip_id, use.reused) for use in uses] == [(first, True), (second, False), (first, False)]
    assert [use.characters for use in uses] == [5, 12, 5]
    assert (uses[1].purpose, uses[1].grantee, uses[1].seconds, uses[1].at) == (
        "narration.audiobook", "studio", 1.5, world.clock.now,
    )  # fmt: skip
    assert {use.voice_id for use in uses} == {world.voice.voice_id}
    assert world.log()[uses[0].leaf]["kind"] == "speech.reused"


def test_uses_come_in_pages_that_leave_none_out(world: Tenant, mary: Principal) -> None:
    clips = [spoken(world, f"text {number}") for number in range(5)]
    for text in ("text 0", "text 3"):
        world.service.gate.redeem_cached(world.allow(text).token, clips[int(text[-1])])
    everything = world.service.self_service.own_uses(mary)
    assert (len(everything.uses), everything.next) == (7, "")
    paged, after = [], ""
    while True:
        page = world.service.self_service.own_uses(mary, after=after, limit=2)
        paged += page.uses
        if not (after := page.next):
            break
    assert tuple(paged) == everything.uses
    for wrong in ("x", "1", "1-", "-1-a", "1-a-b;", "9" * 30 + "-a"):
        with pytest.raises(InvalidInput) as refused:
            world.service.self_service.own_uses(mary, after=wrong)
        assert refused.value.code == "cursor_invalid"


def test_a_person_withdraws_alone_and_takes_the_receipt_along(world: Tenant, mary: Principal) -> None:
    pending = world.allow()
    assert [voice.voice_id for voice in world.service.self_service.own_voices(mary)] == [world.voice.voice_id]
    (consent,) = world.service.self_service.own_consents(mary)
    assert consent.consent_id == world.consent_id
    world.service.self_service.revoke_own_consent(mary, world.consent_id)
    with pytest.raises(GrantRevoked):
        world.service.gate.redeem(pending.token, world.replica.replica_id)
    keys = world.service.keys.public_keys(KeyPurpose.RECEIPT)
    body = verify_receipt(world.service.self_service.own_receipt(mary, world.consent_id), keys)
    assert [(event["event_type"], event["entity_id"]) for event in body["events"]] == [
        ("given", "pii_principal"), ("withdrawn", "pii_principal"),
    ]  # fmt: skip
    entry = next(entry for entry in world.log() if entry["kind"] == "consent.revoked")
    assert (entry["by"], entry["by_subject"]) == (mary.key_id, mary.subject_id)


def test_a_person_has_their_voice_deleted_and_takes_the_certificate_along(
    world: Tenant, mary: Principal
) -> None:
    gone = world.service.self_service.decommission_own_voice(mary, world.voice.voice_id, "I want it gone")
    assert gone.state == "decommissioned"
    assert "certificate" in world.service.self_service.own_certificate(mary, world.voice.voice_id)
    assert MARY not in world.dump()
    before = len(post(world))
    world.service.self_service.request_sign_in("acme", MARY)
    assert len(post(world)) == before


def test_a_person_reaches_nothing_of_anybody_else(world: Tenant, mary: Principal) -> None:
    other = world.enrol("Another", 220.0)
    consent = world.record(other).consent.consent_id
    rival = world.installation.tenant("rival")
    for voice_id, consent_id in (
        (other.voice_id, consent),
        (rival.voice.voice_id, rival.consent_id),
        ("no", "no"),
    ):
        for attempt in (
            lambda c=consent_id: world.service.self_service.own_receipt(mary, c),
            lambda c=consent_id: world.service.self_service.revoke_own_consent(mary, c),
            lambda v=voice_id: world.service.self_service.decommission_own_voice(mary, v, "no"),
            lambda v=voice_id: world.service.self_service.own_certificate(mary, v),
        ):
            with pytest.raises(NotFound):
                attempt()
    assert world.service.consents.get(world.auditor, consent).state == "live"
    for name, (_, operation) in OPERATIONS.items():
        if not name.startswith("self_service."):
            with pytest.raises(PermissionDenied):
                operation(world, mary)


def test_whose_key_it_is_the_ledger_says_and_not_the_caller(world: Tenant, mary: Principal) -> None:
    other = world.enrol("Another", 220.0)
    confirm(world, other.voice_id, "other@example.org")
    them = sign_in(world, "other@example.org")
    disguised = replace(them, subject_id=mary.subject_id)
    assert [voice.voice_id for voice in world.service.self_service.own_voices(disguised)] == [other.voice_id]
    with pytest.raises(NotFound):
        world.service.self_service.revoke_own_consent(disguised, world.consent_id)
    # Nor can who administers voices pass a withdrawal off as the person's own.
    world.service.consents.revoke(
        replace(world.admin, subject_id=mary.subject_id), world.consent_id, "theirs, honestly"
    )
    receipt = json.loads(world.service.consents.receipt(world.auditor, world.consent_id))["receipt"]
    assert receipt["events"][-1]["entity_id"] == "controller"

"""One disclosure, in every form that a law or a reader asks for; and nothing that would say who or what."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest

from provenance.disclosure import Disclosure
from provenance.errors import ProfileInvalid, StampFailed, TokenInvalid
from provenance.labels import token as tokens
from provenance.labels.aigc import aigc_label
from provenance.labels.http import TOKEN_HEADER, headers
from provenance.labels.spoken import disclaimed
from provenance.labels.texts import all_texts, texts
from provenance.manifest import assertion, definition, disclosure_from
from provenance.profiles.profile import load_profile, parse_profile, profiles
from provenance.signing import LeafSigner
from provenance.stamp import Stamper
from tests.unit.provenance.authority import Authority
from tests.unit.provenance.conftest import RATE, a_disclosure, speech_like

LANGUAGES = {"zh", "en", "ja", "ko", "de", "fr", "ru", "pt", "es", "it"}
DEFAULT_FILE = 'name = "x"\nlaw = []\nspoken_disclaimer = "on request"\n'


def test_the_gb_45438_label_has_its_fields_and_no_other() -> None:
    label = json.loads(aigc_label(a_disclosure(provider="示例出版社")))
    assert set(label) == {
        "Label", "ContentProducer", "ProduceID", "ReservedCode1",
        "ContentPropagator", "PropagateID", "ReservedCode2",
    }  # fmt: skip
    assert (label["Label"], label["ContentProducer"]) == ("1", "示例出版社")
    assert label["ProduceID"] == a_disclosure().clip_id
    assert aigc_label(a_disclosure(provider="示例出版社")).isascii()


def test_the_manifest_has_the_fields_of_sb_942() -> None:
    said = assertion(a_disclosure())
    assert (said["provider"], said["system"], said["system_version"]) == (
        "Example Publishing",
        "Vouch",
        "0.1.0",
    )
    assert datetime.fromisoformat(said["generated_at"]).timestamp() == a_disclosure().generated_at
    assert said["clip_id"] == a_disclosure().clip_id
    assert definition(a_disclosure())["claim_generator_info"] == [{"name": "Vouch", "version": "0.1.0"}]


@pytest.mark.parametrize("changes", [{}, {"keyed_epoch": 7}, {"consent_id": None, "consent_version": None}])
def test_what_a_manifest_says_is_read_back_as_it_was(changes: dict[str, object]) -> None:
    said = a_disclosure(**changes)
    assert disclosure_from(assertion(said)) == said


def test_headers_say_it_before_a_byte_of_the_body() -> None:
    said = headers("abc")
    assert said == {
        "X-AI-Generated": "true",
        "X-Clip-Id": "abc",
        "Link": '</v1/clips/abc/manifest>; rel="c2pa-manifest"',
    }
    assert headers("abc", token="t.t.t") == {**said, TOKEN_HEADER: "t.t.t"}


def test_every_language_has_its_texts() -> None:
    assert set(all_texts()) == LANGUAGES
    for code, one in all_texts().items():
        assert one.language == code
        assert len(one.label) <= 40
        assert len(one.description) > len(one.label)
        assert one.spoken.strip()
    assert len({one.spoken for one in all_texts().values()}) == len(LANGUAGES)


def test_a_variant_has_the_texts_of_its_language_and_others_have_the_english_ones() -> None:
    assert texts("pt-BR") == texts("pt")
    assert texts("nl") == texts("en")


def test_a_disclaimer_comes_first_and_only_where_there_is_one() -> None:
    assert disclaimed("Chapter one.", None) == "Chapter one."
    assert disclaimed("Chapter one.", "Artificial.") == "Artificial. [pause 500ms] Chapter one."


def test_the_profiles_are_the_files() -> None:
    assert profiles() == ("cn", "default")
    assert load_profile("default").spoken("de", asked=False) is None
    assert load_profile("default").spoken("de", asked=True) == texts("de").spoken
    assert load_profile("cn").spoken("zh", asked=False) == texts("zh").spoken


@pytest.mark.parametrize(
    "switch",
    [
        "watermark = false", "keyed_mark = false", "presence_mark = false", "manifest = false",
        "aigc_label = false", "headers = false", "[machine_readable]\nlabel = false", "disabled = true",
        'spoken_disclaimer = "never"',
    ],
)  # fmt: skip
def test_no_profile_can_switch_a_mark_off(switch: str) -> None:
    assert parse_profile(DEFAULT_FILE).name == "x"
    text = switch if switch.startswith("spoken") else DEFAULT_FILE + switch
    with pytest.raises(ProfileInvalid):
        parse_profile('name = "x"\nlaw = []\n' + text if switch.startswith("spoken") else text)


@pytest.mark.parametrize("name", ["", "nowhere", "../default", "DEFAULT"])
def test_a_profile_that_is_not_there_stamps_nothing(stamper: Stamper, name: str) -> None:
    with pytest.raises(ProfileInvalid):
        stamper.stamp(speech_like(0.3), RATE, a_disclosure(profile=name))
    with pytest.raises(ProfileInvalid):
        stamper.announce(a_disclosure(profile=name))


# --- the token of a stream ---


def live() -> Disclosure:
    return a_disclosure(generated_at=datetime.now(UTC).timestamp())


def test_a_token_is_verified_with_the_root_alone(stamper: Stamper, authority: Authority) -> None:
    disclosure = live()
    said = tokens.verify(stamper.announce(disclosure), authority.root_pem)
    assert (said.clip_id, said.provider) == (disclosure.clip_id, "Example Publishing")
    assert said.issued_at == int(disclosure.generated_at)
    assert said.claims == tokens.claims_digest(disclosure)


def test_a_token_fits_a_header_and_holds_no_more_than_it_must(stamper: Stamper) -> None:
    token = stamper.announce(a_disclosure())
    assert token.isascii()
    assert len(token) < 2_000
    body = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    assert set(body) == {"iss", "sub", "iat", "source_type", "claims"}
    assert "voice_0123" not in json.dumps(body)


def test_a_token_is_tied_to_the_manifest_that_follows() -> None:
    digests = {tokens.claims_digest(a_disclosure(voice_id=voice)) for voice in ("a", "b")}
    assert len(digests) == 2


def test_every_flip_in_a_token_is_caught(stamper: Stamper, authority: Authority) -> None:
    token = stamper.announce(live())
    tokens.verify(token, authority.root_pem)
    for at in range(0, len(token), 7):
        changed = token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]
        with pytest.raises(TokenInvalid):
            tokens.verify(changed, authority.root_pem)


@pytest.mark.parametrize(
    "token", ["", ".", "..", "a.b.c", "e30.e30.e30", "W10.W10.W10", "x" * 9_000, "é.é.é"]
)
def test_what_is_no_token_is_refused_and_not_an_error(authority: Authority, token: str) -> None:
    with pytest.raises(TokenInvalid):
        tokens.verify(token, authority.root_pem)


def test_a_token_of_another_root_is_not_ours(stamper: Stamper) -> None:
    with pytest.raises(TokenInvalid, match="this root"):
        tokens.verify(stamper.announce(live()), Authority.create("Another").root_pem)


def test_a_token_issued_outside_its_leaf_is_refused(authority: Authority) -> None:
    now = datetime.now(UTC)
    expired = authority.leaf(now - timedelta(days=9), now - timedelta(days=8))
    token = tokens.issue(live(), LeafSigner(expired))
    with pytest.raises(TokenInvalid, match="not valid when"):
        tokens.verify(token, authority.root_pem)


@pytest.mark.parametrize("change", [{"alg": "none"}, {"alg": "HS256"}, {"typ": "JWT"}, {"x5c": []}])
def test_what_our_leaf_signed_for_another_use_is_no_token(
    stamper: Stamper, authority: Authority, change: dict[str, object]
) -> None:
    head, body, _ = stamper.announce(live()).split(".")
    other = json.dumps({**json.loads(base64.urlsafe_b64decode(head + "==")), **change}).encode()
    said = f"{base64.urlsafe_b64encode(other).rstrip(b'=').decode()}.{body}"
    signature = base64.urlsafe_b64encode(authority.signer.sign_manifest(said.encode())).rstrip(b"=").decode()
    with pytest.raises(TokenInvalid):
        tokens.verify(f"{said}.{signature}", authority.root_pem)


def test_a_token_has_one_spelling(stamper: Stamper, authority: Authority) -> None:
    """The last character of 64 bytes holds four bits that mean nothing."""
    token = stamper.announce(live())
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    other = token[:-1] + alphabet[alphabet.index(token[-1]) ^ 1]
    with pytest.raises(TokenInvalid):
        tokens.verify(other, authority.root_pem)


def test_a_stream_that_cannot_be_announced_does_not_begin(authority: Authority) -> None:
    class Down:
        def certificate_chain(self) -> bytes:
            return authority.signer.certificate_chain()

        def sign_manifest(self, message: bytes, chain: bytes | None = None) -> bytes:
            raise ConnectionError("credentials=abc")

    with pytest.raises(StampFailed) as refused:
        Stamper(Down()).announce(a_disclosure())
    assert "credentials" not in str(refused.value)

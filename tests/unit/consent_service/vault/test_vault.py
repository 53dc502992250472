"""Whatever is changed in a sealed object, a wrapped key or what they are bound to: it is refused, as one error."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from consent_service.errors import VaultError
from consent_service.keys import FileKeyProvider
from consent_service.objects import ObjectStore, open_store
from consent_service.vault.vault import Vault, _aad, key_aad

ORIGIN = "enrolment_" + "ab" * 16
PLAIN = b"RIFF of somebody's voice"


@dataclass
class Sealed:
    vault: Vault
    objects: ObjectStore
    keys: FileKeyProvider
    digest: str
    content: bytes
    wrapped: bytes


@pytest.fixture(scope="module")
def sealed() -> Iterator[Sealed]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        keys = FileKeyProvider.create(folder / "keys", organisation="Testers")
        objects, wrapped = open_store(folder / "vault"), open_store(folder / "wrapped-keys")
        vault = Vault(objects, wrapped, keys)
        vault.create_key("acme", "voice_a")
        digest = vault.store("acme", "voice_a", "reference", PLAIN, origin=ORIGIN)
        content = objects.get("acme/voice_a/reference.sealed")
        yield Sealed(vault, objects, keys, digest, content, vault.wrapped_key("acme", "voice_a"))


@st.composite
def changes(draw: st.DrawFn) -> tuple[str, int, int]:
    """How to spoil a string of bytes: flip bits of one, drop the end, add to it, take a piece out."""
    return (
        draw(st.sampled_from(["flip", "cut", "add", "drop"])),
        draw(st.integers(0, 1 << 16)),
        draw(st.integers(1, 255)),
    )


def spoilt(content: bytes, change: tuple[str, int, int]) -> bytes:
    how, where, what = change
    place = where % len(content)
    if how == "flip":
        return content[:place] + bytes([content[place] ^ what]) + content[place + 1 :]
    if how == "cut":
        return content[:place]
    if how == "add":
        return content[:place] + bytes([what]) + content[place:]
    return content[:place] + content[place + 1 :]


@given(change=changes())
@example(change=("cut", len(b"vouch\x02"), 1))
def test_a_sealed_object_opens_as_it_was_or_not_at_all(sealed: Sealed, change: tuple[str, int, int]) -> None:
    content = spoilt(sealed.content, change)
    sealed.objects.put("acme/voice_a/reference.sealed", content)
    if (
        content == sealed.content
    ):  # a byte put in beside its like, or taken out of a pair, and nothing is changed
        return
    with pytest.raises(VaultError):
        sealed.vault.open("acme", "voice_a", "reference", sealed.digest)


def test_every_single_byte_of_a_sealed_object_counts(sealed: Sealed) -> None:
    for place in range(len(sealed.content)):
        sealed.objects.put("acme/voice_a/reference.sealed", spoilt(sealed.content, ("flip", place, 1)))
        with pytest.raises(VaultError):
            sealed.vault.open("acme", "voice_a", "reference", sealed.digest)
    sealed.objects.put("acme/voice_a/reference.sealed", sealed.content)
    assert sealed.vault.open("acme", "voice_a", "reference", sealed.digest) == PLAIN


@given(change=changes())
def test_a_wrapped_key_opens_as_it_was_or_not_at_all(sealed: Sealed, change: tuple[str, int, int]) -> None:
    wrapped = spoilt(sealed.wrapped, change)
    if wrapped != sealed.wrapped:
        with pytest.raises(VaultError):
            sealed.keys.unwrap_key(wrapped, key_aad("acme", "voice_a"))


words = st.text("abcdefgh_0123456789-", min_size=1, max_size=12)


@given(tenant=words, voice=words)
def test_a_wrapped_key_is_its_tenant_s_and_its_voice_s_alone(sealed: Sealed, tenant: str, voice: str) -> None:
    if (tenant, voice) != ("acme", "voice_a"):
        with pytest.raises(VaultError):
            sealed.keys.unwrap_key(sealed.wrapped, key_aad(tenant, voice))


@given(one=st.lists(words, min_size=1, max_size=4), other=st.lists(words, min_size=1, max_size=4))
def test_no_two_bindings_are_the_same_bytes(one: list[str], other: list[str]) -> None:
    assert (_aad(*one) == _aad(*other)) == (one == other)


@given(place=st.integers(0, 63), digit=st.sampled_from("0123456789abcdef"))
def test_an_object_opens_under_its_own_digest_alone(sealed: Sealed, place: int, digit: str) -> None:
    sealed.objects.put("acme/voice_a/reference.sealed", sealed.content)
    digest = sealed.digest[:place] + digit + sealed.digest[place + 1 :]
    if digest != sealed.digest:
        with pytest.raises(VaultError):
            sealed.vault.open("acme", "voice_a", "reference", digest)

"""No key, plain or wrapped, in any repr, exception or log line: whatever is done with keys, and whatever goes wrong."""

from __future__ import annotations

import base64
import json
import logging
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from consent_service.config import ConsentConfig
from consent_service.errors import ConsentError
from consent_service.keys.rings import RingProvider
from consent_service.rotation.rotate import KeyKind
from consent_service.vault.vault import key_aad
from tests.assets.aws import SECRET, Kms
from tests.assets.installation import DAY, UNEXAMINED, Installation, Tenant


@pytest.fixture(params=["files", pytest.param("kms", marks=pytest.mark.aws)])
def held(request: pytest.FixtureRequest, tmp_path: Path) -> Tenant:
    config = ConsentConfig(data_dir=tmp_path / "data", examination=UNEXAMINED)
    if request.param == "kms":
        kms: Kms = request.getfixturevalue("kms")
        bucket = f"s3://{kms.aws.bucket(versioned=True)}"
        places = {"vault_url": f"{bucket}/vault", "wrapped_keys_url": f"{bucket}/wrapped-keys"}
        config = config.model_copy(update={"kms": kms.config(), **places})
    return Installation.create(config).tenant()


def forms(secret: bytes) -> list[str]:
    """As it could turn up in a text."""
    return [secret.hex(), base64.b64encode(secret).decode(), repr(secret)[2:-1], str(list(secret))]


def key_material(world: Tenant) -> list[bytes]:
    """Every secret that the provider opened or stores, and every data key, wrapped and not."""
    keys, vault = world.service.keys, world.core.vault
    assert isinstance(keys, RingProvider)
    found = [
        key.private_bytes_raw() for ring in keys._signing.values() for key in ring.get().private.values()
    ]
    found += keys._marks.get().secrets.values()
    for path in (world.data_dir / "keys").glob("*.json"):
        document = json.loads(path.read_bytes())
        stored = [document.get("leaf_key"), *(key.get("secret") for key in document.get("keys", {}).values())]
        found += [base64.b64decode(each) for each in stored if each]
    for tenant, voice_id in vault.voices():
        wrapped = vault.wrapped_key(tenant, voice_id)
        found += [wrapped, keys.unwrap_key(wrapped, key_aad(tenant, voice_id))]
    return found


def test_no_key_turns_up_in_a_repr_an_exception_or_a_log(
    held: Tenant, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("botocore", "botocore.parsers", "botocore.endpoint", "s3fs"):  # as somebody who debugs would
        caplog.set_level(logging.DEBUG, name)
    service, vault, keys = held.service, held.core.vault, held.service.keys
    assert isinstance(keys, RingProvider)
    service.clips.wrap_key("acme", b"k" * 32, b"clip")
    shown: list[object] = [service, held.core, keys, vars(keys), vault, vars(vault)]
    material = key_material(held)
    shown += service.rotation.rotate(
        held.admin, [kind for kind in KeyKind if kind is not KeyKind.KEK or not is_kms(held)]
    )
    held.clock.now += 2 * DAY
    shown += service.rotation.retire(held.admin)
    material += key_material(held)
    shown += [
        keys.box,
        keys.signer,
        *(watched.get() for watched in keys._signing.values()),
        keys._marks.get(),
    ]

    voice_id, wrapped = held.voice.voice_id, vault.wrapped_key("acme", held.voice.voice_id)
    grant = held.data_dir / "keys" / "grant.json"
    good = grant.read_bytes()

    def with_damaged(content: bytes) -> Callable[[], object]:
        def attempt() -> object:
            grant.write_bytes(content)
            try:
                return held.allow()
            finally:
                grant.write_bytes(good)

        return attempt

    def with_spoilt_wrapped_key() -> object:
        vault._wrapped.put(f"acme/{voice_id}.wrapped", wrapped[:-1] + bytes([wrapped[-1] ^ 1]))
        return vault.open("acme", voice_id, "reference", held.voice.prompt_digest)

    for attempt in (
        lambda: keys.unwrap_key(wrapped, b"another's"),
        lambda: keys.unwrap_key(b"", b""),
        lambda: vault.open("acme", voice_id, "reference", "0" * 64),
        with_damaged(good[:-40]),
        with_damaged(good.replace(b'"secret": "', b'"secret": "AAAA')),
        with_spoilt_wrapped_key,
    ):
        with pytest.raises(ConsentError) as refused:
            attempt()
        chain = traceback.TracebackException.from_exception(refused.value, capture_locals=False)
        shown.append("".join(chain.format()) + repr(refused.value) + str(refused.value.__dict__))

    told = caplog.text + "".join(f"{thing}{thing!r}" for thing in shown)
    assert len(told) > 2000
    assert len(material) > 12
    for secret in material:
        assert not [form for form in forms(secret) if form in told]
    assert SECRET not in told
    assert "PRIVATE KEY" not in told


def is_kms(world: Tenant) -> bool:
    return world.core.config.kms is not None

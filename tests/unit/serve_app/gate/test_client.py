"""The door's stamper tells the gate that signs which leaf another gate told it."""

from __future__ import annotations

import asyncio

import pytest

from provenance.signing import SigningLeaf
from serve_app.gate.client import BlockingGateClient
from tests.unit.serve_app.house import House


def test_a_gate_s_keys_are_told_for_which_leaf_they_sign(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = house.service.keys
    real, meant = keys.sign_manifest, list[bytes | None]()

    def listening(message: bytes, chain: bytes | None = None) -> bytes:
        meant.append(chain)
        return real(message, chain)

    monkeypatch.setattr(keys, "sign_manifest", listening)

    async def sign() -> bytes:
        bridge = await BlockingGateClient.connect(house.gate, house.node_secret)
        leaf = await asyncio.to_thread(SigningLeaf.of, bridge)
        return await asyncio.to_thread(leaf.sign, b"claim")

    assert len(house.run(sign())) == 64
    assert meant == [keys.certificate_chain()]

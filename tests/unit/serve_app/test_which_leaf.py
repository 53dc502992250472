"""The door's stamper tells the gate that signs which leaf another gate told it."""

from __future__ import annotations

import asyncio
from typing import Any

from provenance.signing import SigningLeaf
from serve_app.bridge import GateBridge
from tests.unit.serve_app.house import House


class Listening:
    """A `Remote` before the gate."""

    def __init__(self, house: House) -> None:
        self._gate, self.signed = house.gate, list[tuple[Any, ...]]()

    async def call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        if method == "sign_manifest":
            self.signed.append(args)
        return await self._gate.call(method, *args, **kwargs)


def test_a_gate_is_told_for_which_leaf_it_signs(house: House) -> None:
    gate = Listening(house)

    async def sign() -> bytes:
        bridge = await GateBridge.connect(gate, house.node_secret)
        leaf = await asyncio.to_thread(SigningLeaf.of, bridge)
        return await asyncio.to_thread(leaf.sign, b"claim")

    assert len(house.run(sign())) == 64
    assert gate.signed == [(b"claim", house.service.keys.certificate_chain())]

"""Makes expired.wav and expired-root.pem: a clip whose leaf expired right after signing.

c2pa refuses to sign with an expired leaf and reads the machine's clock, so such a clip cannot be made at test
time without waiting. Run from the repository's root: python -m tests.unit.provenance.assets.make_expired
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from provenance.stamp import Stamper
from tests.unit.provenance.authority import Authority
from tests.unit.provenance.conftest import RATE, a_disclosure, speech_like

HERE = Path(__file__).parent


def main() -> None:
    authority = Authority.create("Test root of the expired leaf", years=100)
    clip = speech_like(0.2)
    Stamper(authority.signer).stamp(clip, RATE, a_disclosure())  # loads everything while the other leaf waits
    now = datetime.now(UTC)
    short_lived = authority.leaf(now - timedelta(days=1), now + timedelta(seconds=2))
    stamped = Stamper(short_lived).stamp(clip, RATE, a_disclosure())
    (HERE / "expired.wav").write_bytes(stamped.data)
    (HERE / "expired-root.pem").write_bytes(authority.root_pem)


if __name__ == "__main__":
    main()

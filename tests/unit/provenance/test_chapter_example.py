"""The example of docs/verification.md makes a chapter, and what it makes is verified as the page says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from consent_service.proofs.records import Standing
from provenance.stamp import Stamper
from provenance.verdict import Integrity, Note, Origin
from provenance.verify import Verifier
from tests.unit.provenance.authority import Authority
from tests.unit.provenance.conftest import RATE, Register, a_disclosure, speech_like

PAGE = Path(__file__).parents[3] / "docs" / "verification.md"


class Keys:
    """As a key provider has them."""

    def __init__(self, authority: Authority) -> None:
        self.certificate_chain = authority.signer.certificate_chain
        self.sign_manifest = authority.signer.sign_manifest
        self.trust_anchor = lambda: authority.root_pem


def test_the_example_makes_a_chapter_that_stands_as_its_clips_stand(
    authority: Authority, stamper: Stamper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, name in enumerate(("one", "two")):
        said = a_disclosure(clip_id=str(number) * 32)
        (tmp_path / f"{name}.wav").write_bytes(
            stamper.stamp(speech_like(1.0, seed=40 + number), RATE, said).data
        )
    (example,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(compile(example, str(PAGE), "exec"), {"keys": Keys(authority)})
    ledger = Register(Standing.WITHDRAWN, knows=None)
    verdict = Verifier(authority.root_pem, ledger).verify((tmp_path / "chapter.wav").read_bytes())
    assert (verdict.origin, verdict.integrity, verdict.standing) == (
        Origin.OURS, Integrity.INTACT, Standing.WITHDRAWN,
    )  # fmt: skip
    assert verdict.notes == (Note.DERIVED,)
    assert {clip_id for clip_id, _, _ in ledger.asked} == {"0" * 32, "1" * 32}

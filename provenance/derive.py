"""Files made from clips of ours: a transcode, a chapter. They keep their parents as ingredients.

Only whole, trusted clips of our own may be parents: whoever verifies the new file walks to the consent behind each of
them. What is made is read again before it leaves, as every clip is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from consent_service.proofs.seams import ManifestSigner
from provenance.decoding.sniff import OPAQUE, sniff
from provenance.disclosure import Disclosure
from provenance.errors import StampFailed
from provenance.ingredients import MOST_PARENTS, Parent
from provenance.reading import read_manifest
from provenance.trust import TrustContext
from provenance.writing import ManifestWriter

_EMBED = frozenset({"audio/wav", "audio/mpeg", "audio/flac", "audio/mp4"})


@dataclass(frozen=True, slots=True)
class Derived:
    """manifest: there where the format has no room for it inside."""

    data: bytes = field(repr=False)
    manifest: bytes | None = field(default=None, repr=False)


def derive(
    parents: Sequence[bytes],
    made: bytes,
    disclosure: Disclosure,
    *,
    signer: ManifestSigner,
    trust: TrustContext,
) -> Derived:
    """`made`, signed as made from `parents`: one is transcoded, several are put together.

    parents: files of ours as they left, with their manifests inside. made: our own encoding of their sound, marks and
    all. disclosure: of the new file, under an id of its own. Raises StampFailed; then nothing may leave.
    """
    if not 1 <= len(parents) <= MOST_PARENTS:
        raise StampFailed(f"a file is made from 1 to {MOST_PARENTS} clips")
    whole = [_whole(one, trust) for one in parents]
    form = sniff(made)
    media_type = OPAQUE if form is None else form.media_type
    writer = ManifestWriter(signer)
    if media_type in _EMBED:
        return Derived(writer.embed(made, media_type, disclosure, whole))
    return Derived(made, writer.detach(made, media_type, disclosure, parents=whole))


def _whole(data: bytes, trust: TrustContext) -> Parent:
    form, reading = sniff(data), read_manifest(data, trust)
    if form is None or reading is None or reading.state != "Trusted" or not reading.asset_matches:
        raise StampFailed(
            "a parent is no whole clip of ours; hand in clips as they left, with their manifests"
        )
    if reading.disclosure is None:
        raise StampFailed("a parent says nothing of where it comes from")
    return Parent(data, form.media_type)

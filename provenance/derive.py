"""Files made from clips of ours: a transcode, a chapter. They keep their parents as ingredients.

Only whole, trusted clips of our own may be parents: whoever verifies the new file walks to the consent behind each of
them. What is made is read again before it leaves, as every clip is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from consent_service.proofs.protocols import ManifestSigner
from provenance.disclosure import Disclosure
from provenance.errors import StampFailed
from provenance.formats.sniff import OPAQUE, sniff
from provenance.ingredients import MOST_PARENTS, Parent
from provenance.reading import read_manifest, validation
from provenance.trust import TrustContext
from provenance.writing import ManifestWriter

_EMBED = frozenset({"audio/wav", "audio/mpeg", "audio/flac", "audio/mp4"})


@dataclass(frozen=True, slots=True)
class Signed:
    """A file of ours. manifest: there where it lies beside the file; None where it is inside."""

    data: bytes = field(repr=False)
    manifest: bytes | None = field(default=None, repr=False)


def derive(
    parents: Sequence[Signed],
    made: bytes,
    disclosure: Disclosure,
    *,
    signer: ManifestSigner,
    trust: TrustContext,
    marked: bool = False,
    media_type: str | None = None,
) -> Signed:
    """`made`, signed as made from `parents`: one is transcoded, several are put together.

    parents: files of ours as they left. made: our own encoding of their sound, marks and all. disclosure: of the new
    file, under an id of its own. marked: the presence mark was put in by who made it, and not in the parents.
    media_type: of `made`; by its first bytes where it is not given, and those of raw samples can look like anything.
    Raises StampFailed; then nothing may leave.
    """
    if not 1 <= len(parents) <= MOST_PARENTS:
        raise StampFailed(f"a file is made from 1 to {MOST_PARENTS} clips")
    whole = [_parent(one, trust) for one in parents]
    if media_type is None:
        form = sniff(made)
        media_type = OPAQUE if form is None else form.media_type
    writer = ManifestWriter(signer)
    if media_type in _EMBED:
        return Signed(writer.embed(made, media_type, disclosure, whole, presence=marked))
    return Signed(made, writer.detach(made, media_type, disclosure, presence=marked, parents=whole))


def whole(clip: Signed, trust: TrustContext) -> Disclosure:
    """What a clip says of itself. Raises StampFailed unless it is one of ours, and unaltered."""
    reading = read_manifest(clip.data, trust, sidecar=clip.manifest)
    if reading is None or reading.state != "Trusted" or not reading.asset_matches:
        raise StampFailed(
            "a parent is no whole clip of ours; hand in clips as they left, with their manifests"
        )
    if reading.disclosure is None:
        raise StampFailed("a parent says nothing of where it comes from")
    return reading.disclosure


def _parent(clip: Signed, trust: TrustContext) -> Parent:
    whole(clip, trust)
    if clip.manifest is not None:
        return Parent(clip.data, OPAQUE, clip.manifest, validation(clip.data, clip.manifest, trust))
    form = sniff(clip.data)
    if form is None:
        raise StampFailed("a parent is in no format that carries a manifest")
    return Parent(clip.data, form.media_type)

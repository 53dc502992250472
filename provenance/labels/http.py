"""HTTP headers that say what a response is before a byte of it was read."""

from __future__ import annotations

TOKEN_HEADER = "X-Disclosure-Token"  # noqa: S105 - the name of a header


def headers(clip_id: str, *, token: str | None = None) -> dict[str, str]:
    """token: of a stream, whose manifest exists only when it has ended."""
    said = {
        "X-AI-Generated": "true",
        "X-Clip-Id": clip_id,
        # RFC 8288; the relation is C2PA's, for manifests that are kept elsewhere.
        "Link": f'</v1/clips/{clip_id}/manifest>; rel="c2pa-manifest"',
    }
    return said if token is None else {**said, TOKEN_HEADER: token}

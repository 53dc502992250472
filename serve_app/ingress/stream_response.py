"""A `ClipStream` as an HTTP answer."""

from __future__ import annotations

from fastapi.responses import StreamingResponse
from starlette.types import Send

from serve_app.clips.stream import ClipStream


class ClipStreamResponse(StreamingResponse):
    """Its last byte leaves when the manifest is there to be fetched."""

    def __init__(self, clip: ClipStream) -> None:
        super().__init__(
            clip.chunks(),
            media_type=clip.delivery.format.media_type,
            headers={**clip.disclosure_headers, "X-Cache": "miss"},
        )
        self._clip = clip

    async def stream_response(self, send: Send) -> None:
        async with self._clip:
            await send(
                {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
            )
            async for chunk in self.body_iterator:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

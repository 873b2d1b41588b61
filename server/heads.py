"""HTTP/1 on a connection, by httptools, which reads quickly and bounds nothing by itself."""

from __future__ import annotations

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_BYTES = 64 * 1024


class BoundedHeads(HttpToolsProtocol):
    """uvicorn's protocol that answers 400 to a request whose head, trailer or line is longer than `HEAD_BYTES`, before
    all of it is in memory, and to one whose target is no path. What a body may have is the guard's matter
    (`server.guard`)."""

    _unread = 0
    """Bytes since the last that was passed on."""

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        self._unread += len(data)
        super().data_received(data)
        if self._unread > HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response(f"A head may have {HEAD_BYTES} bytes.")

    def on_headers_complete(self) -> None:
        """See `HttpToolsProtocol`. A target with a host of its own would speak for another one than `Host` does."""
        self._unread = 0
        if not self.url.startswith(b"/"):
            raise ValueError("the target is no path")
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """See `HttpToolsProtocol`."""
        self._unread = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """See `HttpToolsProtocol`."""
        self._unread = 0
        super().on_message_complete()

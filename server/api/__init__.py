"""The server's interface (docs/server.md): what clients may ask, over HTTP and a websocket."""

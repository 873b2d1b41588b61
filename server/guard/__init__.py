"""Who may call the server, and with what: one ASGI middleware before everything else, which refuses before it reads.

Names of the server, origins, tokens, media types, sizes and addresses are looked at here, and headers put on every
answer. What a request means, and whether what it names is there, belongs to the API.
"""

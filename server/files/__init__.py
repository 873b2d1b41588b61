"""Files by the hash of what is in them: what is uploaded, and what jobs make.

Nothing here knows of HTTP, and no function takes a path from a client.

A content id is `sha256:` and 64 hex digits (`weft.engine.declaring.file_store`), and is all that anybody outside ever
says about a file. What an id could name and does not is NoSuchFile, and never tells of other files.
"""

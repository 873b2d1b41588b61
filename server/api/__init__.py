"""The server's interface: what clients may ask over HTTP and a websocket, and the shape of each answer.

What is done then belongs to the rooms below; nothing here knows how jobs are kept or run.
"""

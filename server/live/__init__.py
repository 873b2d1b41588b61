"""Who follows what: events go to the clients that want them, and none of them holds up another.

Where events come from, and what of them is kept, belongs to `workers` and `store`.
"""

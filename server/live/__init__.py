"""Who follows what: events go to the clients that want them, and none of them holds up another."""

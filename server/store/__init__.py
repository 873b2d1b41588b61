"""Jobs that outlive the server: their states, state events, outputs and idempotency keys.

`records` is what is kept and `protocol` what can be asked. `SqliteStore` keeps it in one file and `PostgresStore` in a
database that several servers share. `open_folder` opens the store of a data folder with its lock, migrations and
backups, and `Desk` is how a server of asyncio uses one.
"""

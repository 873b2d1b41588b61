"""The tables of the store, as SQLite has them; PostgreSQL's are made from the same text (`Dialect.table`)."""

from __future__ import annotations

FIRST = (
    """
    CREATE TABLE documents (
        hash TEXT PRIMARY KEY,
        text TEXT NOT NULL
    )""",
    # Files that a document names; found once, when it comes.
    """
    CREATE TABLE document_files (
        document TEXT NOT NULL REFERENCES documents (hash) ON DELETE CASCADE,
        file TEXT NOT NULL,
        PRIMARY KEY (document, file)
    ) WITHOUT ROWID""",
    "CREATE INDEX document_files_file ON document_files (file)",
    # `rank` is minus the priority and `place` the order within one: (rank, place, seq) is the order of the queue.
    # `passed` is when a younger job went before it the first time, for the sake of a model.
    """
    CREATE TABLE jobs (
        seq INTEGER PRIMARY KEY,
        id TEXT COLLATE BINARY NOT NULL UNIQUE,
        state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'done', 'failed', 'cancelled')),
        rank INTEGER NOT NULL,
        place INTEGER NOT NULL,
        document TEXT NOT NULL REFERENCES documents (hash),
        targets TEXT NOT NULL,
        title TEXT NOT NULL,
        tags TEXT NOT NULL,
        slot TEXT,
        model TEXT NOT NULL,
        created REAL NOT NULL,
        started REAL,
        finished REAL,
        passed REAL,
        owner TEXT,
        epoch INTEGER NOT NULL DEFAULT 0,
        attempts INTEGER NOT NULL DEFAULT 0,
        cancelling INTEGER NOT NULL DEFAULT 0,
        events INTEGER NOT NULL DEFAULT 0,
        done INTEGER NOT NULL DEFAULT 0,
        cached INTEGER NOT NULL DEFAULT 0,
        total INTEGER NOT NULL DEFAULT 0,
        seconds REAL,
        ran INTEGER,
        error TEXT
    )""",
    # Partial, so that looking for the next job costs the same however many have ended.
    "CREATE INDEX jobs_queued ON jobs (state, rank, place, seq) WHERE state = 'queued'",
    "CREATE INDEX jobs_running ON jobs (state, owner) WHERE state = 'running'",
    "CREATE INDEX jobs_slot ON jobs (slot) WHERE slot IS NOT NULL AND state IN ('queued', 'running')",
    # Partial too: were there an index of all states, SQLite would take it for the queue, and sort.
    "CREATE INDEX jobs_ended ON jobs (state, id) WHERE finished IS NOT NULL",
    "CREATE INDEX jobs_document ON jobs (document)",
    """
    CREATE TABLE events (
        job INTEGER NOT NULL REFERENCES jobs (seq) ON DELETE CASCADE,
        number INTEGER NOT NULL,
        text TEXT NOT NULL,
        PRIMARY KEY (job, number)
    ) WITHOUT ROWID""",
    """
    CREATE TABLE outputs (
        job INTEGER NOT NULL REFERENCES jobs (seq) ON DELETE CASCADE,
        number INTEGER NOT NULL,
        node TEXT NOT NULL,
        kind TEXT NOT NULL,
        name TEXT NOT NULL,
        file TEXT,
        mime TEXT,
        bytes INTEGER,
        width INTEGER,
        height INTEGER,
        value TEXT,
        PRIMARY KEY (job, number)
    ) WITHOUT ROWID""",
    "CREATE INDEX outputs_file ON outputs (file) WHERE file IS NOT NULL",
    """
    CREATE TABLE tags (
        tag TEXT NOT NULL,
        id TEXT COLLATE BINARY NOT NULL,
        job INTEGER NOT NULL REFERENCES jobs (seq) ON DELETE CASCADE,
        PRIMARY KEY (tag, id)
    ) WITHOUT ROWID""",
    "CREATE INDEX tags_job ON tags (job)",
    """
    CREATE TABLE idempotency (
        key TEXT PRIMARY KEY,
        digest TEXT NOT NULL,
        job INTEGER NOT NULL REFERENCES jobs (seq) ON DELETE CASCADE,
        created REAL NOT NULL
    ) WITHOUT ROWID""",
    "CREATE INDEX idempotency_job ON idempotency (job)",
    "CREATE INDEX idempotency_created ON idempotency (created)",
    """
    CREATE TABLE facts (
        name TEXT PRIMARY KEY,
        value TEXT NOT NULL
    ) WITHOUT ROWID""",
)
"""What makes an empty database one of version 1."""

MIGRATIONS: tuple[tuple[str, ...], ...] = (FIRST,)
"""The statements that lead from version n to n + 1, at place n. One that was released never changes."""

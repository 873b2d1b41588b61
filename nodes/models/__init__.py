"""Finding, checking, loading and holding models. Heavy: import inside node bodies only."""

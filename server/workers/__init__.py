"""Worker processes: what runs in them, how the server has them, and who gives them jobs."""

"""Worker processes: what runs in them, how the server has them, and who gives them jobs.

Processes, their limits and their ends are those of `engine.isolation`; there is no second way to have them.
"""

"""Saved workflows, examples, and documents of others."""

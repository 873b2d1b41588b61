"""What to do: steps, their keys, and graphs that unfold."""

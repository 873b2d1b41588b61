"""Pictures of workflows: what a node shows, where it stands, and two ways to paint it. `graphs.draw` is the door."""

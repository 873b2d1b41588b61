"""Pictures of workflows: what a node shows, where it stands, and two ways to paint it (SVG and PNG).

What makes a picture out of a document belongs here; others call `graphs.draw`.
"""

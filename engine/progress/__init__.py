"""How far a run is, shown while it goes: on a terminal, in a notebook, or as lines, all told from its events.

What watches and draws belongs here; nodes, plans and results know nothing of it. rich and IPython are imported when
there is something to show.
"""

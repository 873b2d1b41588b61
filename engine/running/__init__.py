"""How a plan is carried out: the scheduler, the lanes that nodes run on, and what a run reports and returns.

What happens between the plan and the result belongs here; nodes in another process have `isolation`.
"""

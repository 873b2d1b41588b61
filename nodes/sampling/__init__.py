"""The one denoise loop: how a run begins, schedules, the batched forward, the loop itself, and how runs go on.

What every technique shares belongs here, and no technique, node or check is known here. Nothing but `sizes` is imported
when nodes are declared: these modules load torch.
"""

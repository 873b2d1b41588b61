"""The one denoise loop: hook points (`technique`), schedules, the batched forward, and the loop itself.

Nothing here is imported when nodes are declared: these modules load torch.
"""

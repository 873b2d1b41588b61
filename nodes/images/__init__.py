"""Pictures without torch: reading image files safely, saving them without loss, geometry on numpy arrays.

What knows files, pixels and colours belongs here. Latents and masks as values do not.
"""

"""Finding, checking, loading and holding models. Heavy: import inside node bodies only.

What knows the files and modules of a denoiser, its autoencoder and its text encoders belongs here, and what any other
network is held with. Prompts, latents and steps are not known here.
"""

"""From a prompt's text to what the denoiser attends to: its weights, its encoding, and its words as spans of tokens.

What reads or compares prompts belongs here. What attends to them in a step is a technique's.
"""

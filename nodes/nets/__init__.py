"""Networks beside the denoiser (ControlNet, T2I-Adapter, IP-Adapter): found, checked, and held like a model's parts."""

"""What happens when memory does not suffice, and tensors on their way to a device."""

from __future__ import annotations

import gc

import torch
from torch import Tensor


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory did not suffice, on an accelerator or in main memory."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    # The CPU's allocator, cuDNN, cuBLAS and MPS raise ordinary errors that say so.
    words = ("out of memory", "can't allocate memory", "not enough memory", "alloc_failed")
    return isinstance(error, RuntimeError) and any(word in str(error).lower() for word in words)


def free_memory(device: torch.device) -> None:
    """Give back what is not in use any more."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()


def on_device(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor of the CPU on a device, without waiting for what the device is still computing."""
    if device.type == "cpu":
        return tensor
    if device.type == "cuda" and tensor.device.type == "cpu":
        # From ordinary memory the copy would wait for all that was asked of the device before.
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)

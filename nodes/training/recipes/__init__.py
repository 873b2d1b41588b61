"""What each way of training says to the trainer, one file each."""

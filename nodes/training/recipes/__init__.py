"""What each way of training says to the trainer, one file each.

Which numbers learn and the loss of a sample belong here. What two recipes share does not: it stands one folder above.
"""

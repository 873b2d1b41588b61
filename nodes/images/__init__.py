"""Pictures without torch: reading image files safely, saving them without loss, geometry on numpy arrays."""

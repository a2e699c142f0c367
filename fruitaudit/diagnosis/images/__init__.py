"""What experiments work on: images drawn of the splits, their masks and layers."""

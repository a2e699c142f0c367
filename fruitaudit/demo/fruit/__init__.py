"""The embedded case: sixteen fruits, rendered in the lab and in the store, and a classifier that only knows the lab."""

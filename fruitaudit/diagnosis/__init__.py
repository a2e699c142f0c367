"""Controlled experiments that find the cause: change one thing in the images, measure what the model does."""

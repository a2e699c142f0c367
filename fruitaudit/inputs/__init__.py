"""What goes into a model: how images are prepared and which output is which class, and how that is known."""

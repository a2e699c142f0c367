"""The loss between lab and field divided among causes, and the controls that say whether to believe it."""

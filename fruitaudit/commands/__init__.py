"""What the terminal's commands do; `cli` only reads their arguments."""

"""The suspected causes: how each is measured, brought into the lab and taken back in the field."""

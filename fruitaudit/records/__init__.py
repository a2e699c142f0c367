"""The vocabulary: frozen records that the stages hand to each other.

Nothing here computes or imports another room of the package. Records that end in `results.json` hold plain Python
values (`records.results.Results` is the whole file, and its JSON Schema is generated from these classes); records
that stay in memory (`Images`, `Predictions`, `Maps`) hold NumPy arrays.
"""

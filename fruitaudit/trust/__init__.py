"""Tests of the explanations themselves: one axis a file. These measure; only `rules` judges."""

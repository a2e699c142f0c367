"""Intervals, resampling by group, small samples: every number that is an estimate gets its interval here."""

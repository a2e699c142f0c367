"""fruitaudit: audit an image classifier, explain its errors, and say whether it may be used."""

__version__ = "0.2.0"

"""How little turns an answer: adversarial changes, and regions that carry a class."""

"""`python -m fruitaudit` is the same as `fruitaudit`."""

from fruitaudit.cli import main

if __name__ == "__main__":
    main()

"""The methods, one (or one paper's family) per file: `registry` finds every class in a `METHODS`."""

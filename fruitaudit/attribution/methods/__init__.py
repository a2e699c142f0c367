"""The methods, one (or one paper's family) a file: `registry` finds every class in a `METHODS`."""

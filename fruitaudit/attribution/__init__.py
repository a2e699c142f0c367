"""Attribution methods: one method (or one paper's family) a file; see `base` for what a method is."""

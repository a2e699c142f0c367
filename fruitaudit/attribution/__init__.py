"""Attribution methods: one method (or one paper's family) per file; see `base` for what a method is."""

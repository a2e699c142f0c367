"""The methods of `attribution` by other libraries: thin adapters, to cross-check the native ones.

A file of this package that defines `METHODS` is found by `registry`. A class in it has the same `registration.name` as
the native method, `provider` (what stands behind the @ in a config), `package` (what must be installed) and, where
the library is wrong, `caveat`. The library is imported inside `__call__`. The Keras model is `model.network`.
Its options are options of the native method. What the native method leaves open and the library always does alike is
`fixed` (`equal.WithFixedOptions`), so that `verify` compares with equal parameters. `registry.ExplainsByModel` is for
those where what is explained depends on the model.
"""

"""The methods of `attribution` by other libraries: thin adapters, to cross-check the native ones.

A file of this package that defines `METHODS` is found by `registry`. A class in it has the same `registration.name` as
the native method, `provider` (what stands behind the @ in a config), `package` (what must be installed) and, where
the library is wrong, `caveat`. The library is imported inside `__call__`. The Keras model is `model.network`.
"""

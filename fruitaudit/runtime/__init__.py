"""What every stage runs on: random streams, hashes, atomic files, the cache of finished stages, versions."""

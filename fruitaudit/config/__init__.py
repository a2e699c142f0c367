"""YAML -> typed settings."""

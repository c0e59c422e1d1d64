"""A run's config: TOML, `--set` and dicts in; checked attrs classes out."""

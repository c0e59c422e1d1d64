"""The only code that writes: whole folders, complete or not at all, with a manifest."""

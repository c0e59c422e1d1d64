"""Looks at data before it is trained on: what it is like, and what is wrong with it."""

"""What every component of a kind must hold to: a checker for each kind, in a module of its name.

A property is a function of a `Subject`; its first line says what holds. It raises AssertionError
where that does not, and `NotApplicable` where there is nothing to check.

Modules with assertions say PYTEST_DONT_REWRITE: each assertion has its own message, and what pytest
would add, where it does not cut it short (as with CI set), takes hours for two long rows of ids.
"""

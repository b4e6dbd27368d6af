"""Checks of arguments, locks, optional libraries and plain tables: what every other package may use."""

"""How a network is computed quickly: lowered to ops, over memory that is kept, by NumPy calls that are replayed."""

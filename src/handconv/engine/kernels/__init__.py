"""Pure array functions: arrays and a frozen geometry in, arrays out, scratch memory handed in.

Only this package knows about the order of the memory, tiles and buffers; it knows nothing of layers.
"""

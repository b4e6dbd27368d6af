"""The contestants, one file each: short enough to check that every one does the same work, in its own best way.

A contestant is a process (``python -m benchmarks.rivals.torch_rival``) that reads its job, gets ready, and then repeats
it whenever it is told to; see ``protocol``.
"""

"""A miniature Railway on this machine, with a GitHub stand-in and a rehearsal model.

Started as a process and reached over HTTP alone; for the demo and the tests.
"""

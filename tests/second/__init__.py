"""A second verifier, written from the documents of the repository alone.

It shares no code with `stark` and `air`, so that the two can be compared: what one accepts and
the other refuses is a fault of one of them, or of a document. It is meant to be read beside
`docs/format.md`, whose sections the docstrings name, and is slower than it could be.
"""

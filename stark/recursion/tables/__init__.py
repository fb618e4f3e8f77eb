"""The tables of a recursive verifier, and the buses that tie their rows to one circuit."""

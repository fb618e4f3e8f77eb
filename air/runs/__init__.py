"""Runs: trees of proofs that are made by any workers, kept as they are finished, and resumed."""

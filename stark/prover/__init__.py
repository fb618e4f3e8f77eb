"""The prover; the only wing that needs numpy and numba."""

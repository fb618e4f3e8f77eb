"""One small proof for any number of batches: joins verify two proofs, a wrap verifies the last."""

"""Recursion: tables whose proof says that a verifier has accepted other proofs."""

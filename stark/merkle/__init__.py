"""Merkle trees over rows of matrices of different heights.

``multiproof`` is what the verifier needs (standard library alone): the shape of a tree, the
encoding of an opening, its check. ``tree`` builds trees and openings for the prover.
"""

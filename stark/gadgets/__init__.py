"""Pieces of AIRs that any table may use."""

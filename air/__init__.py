"""What is proven: per-asset liabilities of an exchange, and each customer's inclusion in them.

Importing this package imports nothing else. Snapshots and proving need numpy and numba; the
statement, the verifier and the customer's check need the standard library alone.
"""

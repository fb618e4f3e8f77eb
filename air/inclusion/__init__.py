"""Inclusion: what one customer gets, how they check it, and where the exchange keeps it.

``customer`` is the customer's file and ``check`` the check against a proof file; both need the
standard library alone. ``store`` holds the files of all customers of a snapshot and needs numpy.
Importing this package imports none of them.
"""

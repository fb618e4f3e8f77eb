"""The command line, ``liabilities``: one file per command or small group of commands.

Modules here import the prover only inside the functions that need it: help and verification start
without it.
"""

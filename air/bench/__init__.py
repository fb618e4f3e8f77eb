"""Measurements: sweeps over sizes and parameters, and where the prover's time goes.

Nothing here is needed to prove or to verify. Everything that is timed runs in a process of its own.
"""

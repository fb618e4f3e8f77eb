"""Hash functions: SHA-256 for what people see, Poseidon for what circuits see.

``grain`` and ``poseidon`` (scalars) and ``sha256`` (tagged hashing) serve the verifier and import
the standard library alone. ``poseidon_kernels`` and ``sha256_kernels`` are the same functions over
many lanes, for the prover.
"""

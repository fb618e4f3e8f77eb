"""Hash functions: SHA-256 for what people see, Poseidon for what circuits see.

``grain`` and ``poseidon`` (scalars), ``sha256`` (tagged hashing) and ``suite`` (what a proof is
hashed with) serve the verifier and import the standard library alone. ``poseidon_kernels``,
``sha256_kernels`` and ``sponge_kernels`` are the same functions over many lanes, for the prover;
``hashing`` has those of a suite.
"""

"""The verifier, from bytes to accepted or a typed rejection."""

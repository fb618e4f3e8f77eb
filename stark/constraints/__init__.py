"""AIRs as symbolic expressions, and their readings."""

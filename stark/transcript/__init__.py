"""The Fiat-Shamir transcript and the schema that drives it."""

"""The KoalaBear field, its quintic extension, and the number-theoretic transform."""

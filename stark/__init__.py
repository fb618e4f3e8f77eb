"""A STARK in pure Python and Numba, usable for any AIR."""

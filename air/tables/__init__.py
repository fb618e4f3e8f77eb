"""The tables of a batch: the statement as AIRs."""

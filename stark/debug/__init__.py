"""What is wrong with a trace: failing rows, and messages that do not balance."""

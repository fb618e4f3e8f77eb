"""The FRI low-degree test over codewords of several heights."""

"""Snapshots: reading, checking and generating what an exchange owed at one time.

``check.check`` lists every fault of a snapshot, ``check.load`` reads a faultless one,
``generate.generate`` makes one up. These modules need numpy, numba and pyarrow; importing this
package imports none of them.
"""

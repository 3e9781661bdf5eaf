"""The words every part of callwright shares: pure values, no I/O, no clock, no chance."""

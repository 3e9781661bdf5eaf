"""Sound and its packets with no I/O: descriptions, packets, keys, codecs, tones, and many legs as rows of arrays."""

"""One file per change of the schema, in order; written out in full, never derived from today's tables."""

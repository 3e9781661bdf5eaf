"""The database, once: one SQLite file, one writer, several readers (docs/reference/records.md, durability)."""

"""The call engine: everything that touches the telephone network."""

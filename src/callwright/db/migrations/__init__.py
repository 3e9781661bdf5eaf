"""Alembic's environment: ``callwright.db.migrate`` runs it on a connection it brings."""

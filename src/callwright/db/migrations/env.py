"""Runs the migration scripts on the connection handed over by ``callwright.db.migrate.upgrade``."""

from __future__ import annotations

from alembic import context

context.configure(connection=context.config.attributes["connection"], transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()

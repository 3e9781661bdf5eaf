"""What was said of a call's end beyond its cause: the far end's words, and the Q.850 cause."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("cdrs", sa.Column("detail", sa.Text(), nullable=True))
    op.add_column("cdrs", sa.Column("q850", sa.Integer(), nullable=True))

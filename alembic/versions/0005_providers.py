"""Providers: gates, usage and budgets, progress, and why a task is not running."""

from contentq.database.migrations import run_sql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_sql("0005_providers.up.sql")


def downgrade() -> None:
    run_sql("0005_providers.down.sql")

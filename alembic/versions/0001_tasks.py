"""The tables in the default schema: accounts, contents, content_generation_tasks."""

from contentq.database.migrations import run_sql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_sql("0001_tasks.up.sql")


def downgrade() -> None:
    run_sql("0001_tasks.down.sql")

"""The machinery: workers, settings, the state machine as functions, the triggers."""

from contentq.database.migrations import run_sql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_sql("0002_queue.up.sql")


def downgrade() -> None:
    run_sql("0002_queue.down.sql")

"""What measuring taught: how producers wake workers, and how content is stored."""

from contentq.database.migrations import run_sql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_sql("0004_speed.up.sql")


def downgrade() -> None:
    run_sql("0004_speed.down.sql")

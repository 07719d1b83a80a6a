"""The views that people read in psql."""

from contentq.database.migrations import run_sql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_sql("0003_views.up.sql")


def downgrade() -> None:
    run_sql("0003_views.down.sql")

"""The tables of producers and readers, and the tables of schema contentq."""

from contentq.database.migrations import run_step

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_step(__file__, "up")


def downgrade() -> None:
    run_step(__file__, "down")

"""${message}"""

from contentq.database.migrations import run_step

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_step(__file__, "up")


def downgrade() -> None:
    run_step(__file__, "down")

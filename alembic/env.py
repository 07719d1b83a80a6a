"""Runs the revisions on one connection and in one transaction, one migration at a time in each database."""

from alembic import context
from contentq.database import migrations

if context.is_offline_mode():
    migrations.print_revisions(context)
else:
    migrations.run_revisions(context)

"""Runs the revisions on one connection and in one transaction, one migration at a time in each database."""

from alembic import context
from alembic.util import CommandError
from contentq.database import migrations
from contentq.errors import ContentQueueError

try:
    if context.is_offline_mode():
        migrations.print_revisions(context)
    else:
        migrations.run_revisions(context)
except ContentQueueError as error:
    if context.config.attributes.get("dsn"):
        raise
    raise CommandError(str(error)) from None

"""Runs the revisions in one transaction; only one migration at a time runs in a database."""

import psycopg
import sqlalchemy
from alembic import context
from alembic.util import CommandError
from contentq.database import migration_errors, migrations
from contentq.errors import ContentQueueError

try:
    if context.is_offline_mode():
        migrations.print_revisions(context)
    else:
        migrations.run_revisions(context)
except (ContentQueueError, sqlalchemy.exc.DBAPIError, psycopg.Error) as error:
    attributes = context.config.attributes
    if attributes.get("dsn"):  # the caller is migrate(), which explains errors itself
        raise
    known = error if isinstance(error, ContentQueueError) else migration_errors.explain(error, attributes)
    raise CommandError(str(known)) from None

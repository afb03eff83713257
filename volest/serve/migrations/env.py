"""What Alembic runs: all steps that are missing, in one transaction where the database can."""

from __future__ import annotations

from alembic import context

from volest.serve.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()

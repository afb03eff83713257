"""How the tables came to be, step by step; Alembic runs it at each start."""

"""PostgreSQL: the URL, the engines, migrations."""

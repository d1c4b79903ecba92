"""PostgreSQL: URL, engines, migrations."""

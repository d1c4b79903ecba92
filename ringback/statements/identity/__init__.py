"""Statements about tenants and credentials, and the row-level security between tenants."""

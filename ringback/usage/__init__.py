"""Usage reports, prices and budgets."""

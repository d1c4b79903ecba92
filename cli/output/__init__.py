"""What commands print: tables, and the history queries behind them."""

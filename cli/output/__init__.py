"""Tables that commands print, and the history queries behind them."""

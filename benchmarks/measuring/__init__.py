"""What the benchmarks share: receipts, raw lines, plots, what a process uses, and profiles."""

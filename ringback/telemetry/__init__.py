"""What the processes tell of themselves: metrics and traces."""

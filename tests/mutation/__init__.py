"""Each guard taken away in turn: a test that never fails proves nothing."""

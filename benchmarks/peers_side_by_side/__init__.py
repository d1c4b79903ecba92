"""The same conversations for Ringback and for three frameworks, all against one simulator."""

"""Documents and pages of the history API, which the command line also prints."""

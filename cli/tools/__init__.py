"""`ringback tools`: list, check, run and create tools."""

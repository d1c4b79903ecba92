"""Checks of `ringback doctor`: each looks at one dependency, and yields lines that say what is wrong and what to do."""

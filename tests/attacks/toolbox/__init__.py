"""What the attacks are tried on: a whole line, a model that obeys everybody, and things that must not be found."""

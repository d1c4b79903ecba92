"""`python -m cli`: what the stack's own children are started with."""

from cli.main import main

if __name__ == "__main__":
    main()

"""`python -m cli`: how the local stack starts its processes."""

from cli.main import main

if __name__ == "__main__":
    main()

"""`python -m midas ...` is the `midas` command."""

from midas_engine.cli import main

if __name__ == "__main__":
    main()

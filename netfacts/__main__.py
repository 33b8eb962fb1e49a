"""`python -m netfacts`, and the command `netfacts`."""

import sys

from netfacts.cli.interrupt import end_at_once


def main() -> int:
    """Run a command; gives the exit code."""
    end_at_once()
    from netfacts.cli.main import main

    return main()


if __name__ == "__main__":
    sys.exit(main())

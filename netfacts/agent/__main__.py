"""`python -m netfacts.agent`: the harness starts this once, and has it fork an agent for each machine."""

import sys

from netfacts.agent.forkserver import main

if __name__ == "__main__":
    sys.exit(main())

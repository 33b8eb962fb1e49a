"""`python -m netfacts.agent`: the harness starts this once, and has it fork an agent for each machine.

With arguments it is an agent itself: `python -m netfacts.agent NAME PATIENCE_S [SUFFIX]`.
"""

import sys

from netfacts.agent import direct, forkserver

if __name__ == "__main__":
    sys.exit(direct.main(sys.argv[1:]) if sys.argv[1:] else forkserver.main())

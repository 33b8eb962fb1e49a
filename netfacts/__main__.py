"""`python -m netfacts`."""

import sys

from netfacts.cli import main

sys.exit(main())

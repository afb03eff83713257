"""`python -m volest` is `volest`."""

import sys

from volest.cli import main

if __name__ == "__main__":
    sys.exit(main())

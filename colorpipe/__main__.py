"""``python -m colorpipe``."""

import sys

from colorpipe.cli.app import main

if __name__ == "__main__":
    sys.exit(main())

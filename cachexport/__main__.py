"""What `python -m cachexport` runs."""

import sys

from cachexport.cli import main

if __name__ == "__main__":
    sys.exit(main())

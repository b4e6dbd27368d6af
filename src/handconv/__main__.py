"""``python -m handconv`` is the command ``handconv``."""

import sys

from handconv.cli import main

if __name__ == "__main__":
    sys.exit(main())

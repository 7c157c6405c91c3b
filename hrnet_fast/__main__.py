"""`python -m hrnet_fast` does what the command `hrnet-fast` does."""

import sys

from .cli import main

sys.exit(main())

"""`python -m fathom_client` is the command `fathom`."""

import sys

from fathom_client.command.main import main

sys.exit(main())

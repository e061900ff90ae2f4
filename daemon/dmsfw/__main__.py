"""`python -m dmsfw`."""

import sys

from dmsfw.cli import main

sys.exit(main())

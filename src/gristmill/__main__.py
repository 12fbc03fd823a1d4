"""`python -m gristmill` is `build-dataset`."""

import sys

from gristmill.cli import main

sys.exit(main())

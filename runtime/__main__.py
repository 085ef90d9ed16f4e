"""`python -m runtime` is `govsense`."""

import sys

from runtime.cli import main

sys.exit(main())

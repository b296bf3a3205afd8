"""`python -m transferlaws`."""

import sys

from transferlaws.cli import main

sys.exit(main())

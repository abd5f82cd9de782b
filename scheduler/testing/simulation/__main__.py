"""`python -m scheduler.testing.simulation`: see `cli.py`."""

import sys

from scheduler.testing.simulation.cli import main

sys.exit(main())

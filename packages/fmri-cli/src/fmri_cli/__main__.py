"""`python -m fmri_cli` and `accelerate launch -m fmri_cli`: the same as `fmri`."""

import sys

from fmri_cli.main import main

sys.exit(main())

"""`python -P -m dataplane --config FILE`: the S3 endpoint, until SIGTERM."""

import gc
import sys

if __name__ == "__main__":
    # Modules stay: to look through them for garbage while they are loaded takes a sixth of the time that loading takes.
    gc.disable()
    from dataplane.arbiter import main

    sys.exit(main())

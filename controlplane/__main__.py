"""`python -P -m controlplane --config FILE`: the admin API and the workers, until SIGTERM or SIGINT."""

import gc
import sys

if __name__ == "__main__":
    # Modules stay: to look through them for garbage while they are loaded takes a sixth of the time that loading takes.
    gc.disable()
    from controlplane.command import main

    gc.freeze()
    gc.enable()
    sys.exit(main())

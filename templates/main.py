"""The file that the template's launcher runs, because it cannot run a module. The same as `python -m pipeline.main`.

In the image it is outside the packages; otherwise their modules would hide those of the standard library. It defines
nothing that a worker needs.
"""

import sys

from pipeline.main import main

if __name__ == "__main__":
    sys.exit(main())

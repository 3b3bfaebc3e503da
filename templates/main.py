"""What the template's launcher runs, for it takes a file: `python -m pipeline.main` by another way.

It stands apart from the packages, or their files would be found before the standard library's. It defines nothing
that a worker needs.
"""

import sys

from pipeline.main import main

if __name__ == "__main__":
    sys.exit(main())

"""``python -m altiplano.rehearsal PARENT``: one rehearsed rank, which ends when process PARENT does.

Before PyTorch is imported, which takes seconds.
"""

import os
import sys

from altiplano.parallel.processes import die_with_parent

if __name__ == "__main__":
    die_with_parent()
    if os.getppid() != int(sys.argv[1]):  # it was faster
        os._exit(1)
    from altiplano.rehearsal.rank import main

    main()

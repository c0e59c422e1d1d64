"""A plugin for another process: it takes the folder that SMALL_LIBRARY names for Python's library.

Python's own takes seconds to read.
"""

import os
import sysconfig

if "SMALL_LIBRARY" in os.environ:
    sysconfig.get_path = lambda name, *_, **__: os.environ["SMALL_LIBRARY"]

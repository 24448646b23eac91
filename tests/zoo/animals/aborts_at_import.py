# Gives up while it is imported.
# python: {outcome: unavailable, error: "killed by SIGABRT", next: unavailable}
# command: {outcome: crashed, error: "killed by SIGABRT"}

import os

os.abort()

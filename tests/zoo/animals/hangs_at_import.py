# Never finishes to import.
# python: {outcome: unavailable, error: "it took longer than", next: unavailable}
# command: {outcome: timeout, error: took longer than 1.5s}
# options: {timeout: 1500ms}

import time

time.sleep(600)

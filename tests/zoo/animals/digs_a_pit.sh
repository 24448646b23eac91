# Makes folders in folders, more than Python can follow, beside its file of events.
# command: {outcome: done}
exec python3 -c '
import os
os.chdir(os.path.dirname(os.environ["EVTOOL_EMIT"]))
for _ in range(1100):
    os.mkdir("d")
    os.chdir("d")
'

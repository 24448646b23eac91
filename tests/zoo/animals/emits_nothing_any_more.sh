# Removes its file of events, and the folder that it is in.
# command: {outcome: bad-result, error: "cannot be read: No such file or directory"}
rm -r "$(dirname "$EVTOOL_EMIT")"

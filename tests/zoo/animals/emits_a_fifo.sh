# Makes a pipe of its file of events.
# command: {outcome: bad-result, error: "is not a file any more"}
rm "$EVTOOL_EMIT"
mkfifo "$EVTOOL_EMIT"

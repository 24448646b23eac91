# Makes a folder of its file of events.
# command: {outcome: bad-result, error: "is not a file any more"}
rm "$EVTOOL_EMIT"
mkdir -p "$EVTOOL_EMIT/with/more"

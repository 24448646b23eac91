# Makes a link to an endless file of its file of events.
# command: {outcome: bad-result, error: "is not a file any more"}
ln -sf /dev/zero "$EVTOOL_EMIT"

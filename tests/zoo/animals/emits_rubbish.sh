# Writes what is no event.
# command: {outcome: bad-result, error: "emitted line 1, column 1"}
echo rubbish > "$EVTOOL_EMIT"

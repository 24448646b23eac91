# Writes to its file of events until the disk is full.
# command: {outcome: bad-result, error: "bytes (emit_bytes)"}
exec cat /dev/zero > "$EVTOOL_EMIT"

# The animal as a shell script: it is wild for the event of that name.
case "$EVTOOL_EVENT_ID" in
wild) . ./animal.sh ;;
esac

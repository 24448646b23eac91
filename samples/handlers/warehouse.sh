#!/bin/sh
# Writes the pick list of a paid order: what to take from the shelves, and where to send it.
#
# The event comes on standard input. The same event makes the same file, so a repeat does no harm. Exit 0 is done, 75 is
# "not available now, ask again later", anything else is a failure.
set -eu

picks=${SHOP_DATA:-samples/.data}/picks
event=$(LC_ALL=C awk -f "$(dirname "$0")/json.awk")

field() {
    printf '%s\n' "$event" | awk -F '\t' -v path="detail.$1" '$1 == path { print $2 }'
}

order=$(field orderId)
case $order in
    '' | *[!0-9a-f]*) # it becomes a file name
        echo "no order number to write a pick list for" >&2
        exit 1
        ;;
esac

pick_list() {
    printf 'PICK LIST      order %s\n\n' "$order"
    n=0
    while [ -n "$(field "items.$n.itemId")" ]; do
        printf '[ ]  %4s x  %s\n' "$(field "items.$n.quantity")" "$(field "items.$n.itemId")"
        n=$((n + 1))
    done
    n=0
    while [ -n "$(field "shipTo.$n.shipmentCarrier")" ]; do
        to=shipTo.$n.address
        printf '\nSHIP TO        by %s\n\n' "$(field "shipTo.$n.shipmentCarrier")"
        printf '     %s %s\n' "$(field "$to.name.first")" "$(field "$to.name.last")"
        printf '     %s\n' "$(field "$to.street1")"
        [ -z "$(field "$to.street2")" ] || printf '     %s\n' "$(field "$to.street2")"
        printf '     %s, %s %s\n' "$(field "$to.city")" "$(field "$to.state")" "$(field "$to.zipCode")"
        n=$((n + 1))
    done
}

mkdir -p "$picks" || exit 75
draft=$picks/.$order.$$
trap 'rm -f "$draft"' EXIT
pick_list >"$draft"
mv "$draft" "$picks/$order.txt" # others see the whole list or none

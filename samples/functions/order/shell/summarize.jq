# The pieces of an order, its price in cents and the address of its first parcel.
.detail
| if (.items | length) == 0 then error("order \(.orderId) has no items") else . end
| .shipTo[0].address as $to
| {
    orderId,
    pieces: ([.items[].quantity] | add),
    totalCents: ([.items[] | (.price * 100 + 0.5 | floor) * .quantity] | add),
    label: "\($to.name.first) \($to.name.last), \($to.street1), \($to.city), \($to.state) \($to.zipCode), \($to.country)"
  }

/* resource "aws_cloudwatch_event_rule" "gone" {
  event_pattern = "{}"
} */
variable "stage" {
  type = string
}
locals { # one line
  a = { "b" : 1 }
}
resource "aws_cloudwatch_event_rule" "kept" {
  event_pattern = jsonencode({
    # the sender
    source = [
      "shop.checkout", // today
      "shop.cart",
    ]
    detail = { (var.field) = ["a"] }
  })
  lifecycle {
    ignore_changes = [description]
  }
  dynamic "tag" {
    for_each = var.tags
    content { key = tag.key }
  }
}

resource "aws_cloudwatch_event_rule" "paid" {
  event_pattern = jsonencode({ source = ["shop.checkout"] })
}

moved {
  from = aws_sqs_queue.old
  to   = aws_sqs_queue.orders
}
removed {
  from = aws_sqs_queue.gone
}
import {
  to = aws_sqs_queue.orders
  id = "orders"
}
check "health" {
  assert {
    condition     = true
    error_message = "down"
  }
}
resource "aws_sqs_queue_policy" "orders" {
  policy = <<POLICY
{"Version": "2012-10-17"}
POLICY  
}
resource "aws_cloudwatch_event_rule" "orders" {
  event_pattern = <<EOF
{"source": ["shop.checkout"]}
  EOF 
}

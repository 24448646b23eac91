resource "aws_cloudwatch_event_target" "paid" {
  rule = aws_cloudwatch_event_rule.paid.name
  arn  = aws_lambda_function.charge.arn
}
resource "aws_cloudwatch_event_rule" "second" {
  event_pattern = jsonencode({
    source = "shop.checkout"
  })
}

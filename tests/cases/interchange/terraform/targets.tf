resource "aws_cloudwatch_event_rule" "orders" {
  name          = "orders"
  event_pattern = jsonencode({ source = ["shop.checkout"] })
}
resource "aws_cloudwatch_event_target" "charge" {
  rule      = aws_cloudwatch_event_rule.orders.name
  target_id = "charge"
  arn       = aws_lambda_function.charge_card.arn
  input_transformer {
    input_paths    = { id = "$.detail.id" }
    input_template = "{\"id\": <id>}"
  }
}
resource "aws_cloudwatch_event_target" "old_style" {
  rule = "${aws_cloudwatch_event_rule.orders.name}"
  arn  = "${aws_sqs_queue.warehouse[0].arn}"
}
resource "aws_cloudwatch_event_target" "in_module" {
  rule = aws_cloudwatch_event_rule.orders.id
  arn  = module.mailer.lambda_arn
}
resource "aws_cloudwatch_event_target" "by_name" {
  rule      = "orders"
  target_id = "audit"
  arn       = "arn:aws:sqs:eu-central-1:111122223333:audit-queue"
}
resource "aws_cloudwatch_event_target" "given" {
  rule = aws_cloudwatch_event_rule.orders.name
  arn  = var.target_arn
}
resource "aws_cloudwatch_event_target" "other" {
  rule = aws_cloudwatch_event_rule.elsewhere.name
  arn  = var.target_arn
}

# Local values lead to literals, to each other, to variables, and to themselves.
variable "stage" { default = "test" }
locals {
  source  = "shop.checkout"
  types   = ["order.created", "order.paid"]
  pattern = jsonencode({ source = [local.source], "detail-type" = local.types })
  buses   = { orders = { name = "orders" } }
  named   = "shop-${var.stage}"
  loop    = local.again
  again   = local.loop
}
locals { bus = local.buses.orders["name"] }

resource "aws_cloudwatch_event_rule" "whole" {
  event_bus_name = local.bus
  event_pattern  = local.pattern
}
resource "aws_cloudwatch_event_rule" "parts" {
  event_pattern = jsonencode({
    source      = [local.source, "${local.source}.test", local.named, local.loop, local.missing]
    detail-type = [local.types[1], local.types[2]]
  })
}
resource "aws_cloudwatch_event_rule" "text" {
  event_pattern = <<-EOT
    {"source": ["${local.source}", "$${local.source}"]}
  EOT
}
resource "aws_cloudwatch_event_target" "constant" {
  rule  = aws_cloudwatch_event_rule.whole.name
  arn   = aws_sqs_queue.orders.arn
  input = jsonencode({ source = local.source })
}
resource "aws_cloudwatch_event_target" "placeholder" {
  rule  = aws_cloudwatch_event_rule.text.name
  arn   = aws_sqs_queue.orders.arn
  input = "{\"a\": \"<b>\"}"
}
module "vpc" { source = "./vpc" }

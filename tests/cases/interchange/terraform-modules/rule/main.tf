resource "aws_cloudwatch_event_bus" "this" { name = "of-rule" }
resource "aws_cloudwatch_event_rule" "this" {
  event_bus_name = var.bus
  event_pattern = jsonencode({
    source      = [var.source_name]
    detail-type = var.types
    detail      = { stage = [var.stage] }
  })
}

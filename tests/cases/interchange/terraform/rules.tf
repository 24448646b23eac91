# rules in every form of a pattern
resource "aws_cloudwatch_event_bus" "orders" {
  name = "orders"
}

resource "aws_cloudwatch_event_bus" "by_stage" {
  name = "orders-${var.stage}"
}

resource "aws_cloudwatch_event_rule" "paid" {
  name           = "paid-${var.stage}"
  description    = "Orders that were paid."
  event_bus_name = aws_cloudwatch_event_bus.orders.name
  event_pattern = jsonencode({
    source = ["shop.checkout", var.source]
    "detail-type" : ["order.paid"],
    account = local.accounts
    detail = {
      total = [{ numeric = [">", 100] }], // cents
      flags = [true, null, -1.5, 1e3]
      key   = ["a-${var.b}", "q\"x\n\u00e9", "$${literal}"]
      items = [for item in var.items : item.id]
    }
  })
  for_each = toset(["eu", "us"])
}

resource "aws_cloudwatch_event_rule" "indented" {
  event_bus_name = aws_cloudwatch_event_bus.by_stage.arn
  state          = "DISABLED"
  event_pattern  = <<-EOF
    {
      "source": ["shop.checkout"],
      "detail": {"queue": ["${aws_sqs_queue.q.arn}"], "state": ["failed"]}
    }
    EOF
}

resource "aws_cloudwatch_event_rule" "plain" {
  event_pattern = <<PATTERN
{
  "source": ["shop.checkout"]
}
  PATTERN
}

resource "aws_cloudwatch_event_rule" "outside" {
  event_pattern = <<EOF
{"detail": {"status": ${jsonencode(var.status)}}}
EOF
}

resource "aws_cloudwatch_event_rule" "quoted" {
  is_enabled    = false
  event_pattern = "{\"source\": [\"shop.checkout\"]}"
}

resource "aws_cloudwatch_event_rule" "given" {
  count         = var.enabled ? 1 : 0
  event_pattern = var.pattern
}

resource "aws_cloudwatch_event_rule" "merged" {
  event_pattern = jsonencode(merge(local.base, { source = ["shop"] }))
}

resource "aws_cloudwatch_event_rule" "nightly" {
  schedule_expression = "cron(0 3 * * ? *)"
}

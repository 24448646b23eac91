variable "source_name" {}
variable "types" { default = ["order.created"] }
variable "stage" { default = "inner" }
variable "bus" { default = "default" }
variable "target" { default = null }
resource "aws_cloudwatch_event_target" "this" {
  rule = aws_cloudwatch_event_rule.this.name
  arn  = var.target
}

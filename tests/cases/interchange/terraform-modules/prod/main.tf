variable "stage" { default = "test" }
locals { source = "shop" }
resource "aws_cloudwatch_event_bus" "this" { name = "of-prod" }
module "orders" {
  source      = "../rule"
  source_name = "${local.source}.checkout"
  stage       = var.stage
  bus         = aws_cloudwatch_event_bus.this.name
  target      = aws_sqs_queue.orders.arn
}
module "payments" {
  source      = "../rule"
  source_name = "shop.payments"
  types       = ["payment.declined"]
}
module "network" {
  source = "terraform-aws-modules/vpc/aws"
}

resource "aws_cloudwatch_event_rule" "a" {
  name = 
}

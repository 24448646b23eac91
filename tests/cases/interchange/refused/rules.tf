resource "aws_cloudwatch_event_rule" "encoded" {
  event_pattern = jsonencode({
    source = "shop.checkout"
    detail = { total = [{ numerik = [">", 5] }] }
  })
}
resource "aws_cloudwatch_event_rule" "heredoc" {
  event_pattern = <<-EOF
    {
      "source": "shop.checkout"
    }
  EOF
}

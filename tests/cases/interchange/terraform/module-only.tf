module "orders" {
  source        = "./rule"
  event_pattern = jsonencode({ source = ["shop.checkout"] })
}

# Terraform and providers have no versions here.

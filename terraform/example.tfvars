# cp example.tfvars terraform.tfvars, and change what is below. Everything else has a default: variables.tf.

project_id  = "my-shop-prod"
region      = "europe-west4"
runbook_url = "https://github.com/my-shop/live-segments/blob/main/docs/terraform.md"

# Who is told: gcloud beta monitoring channels list --format='value(name)'
notification_channels = ["projects/my-shop-prod/notificationChannels/1234567890"]

# Who may act as which account.
impersonators = {
  deployer           = ["principalSet://iam.googleapis.com/projects/123456789/locations/global/workloadIdentityPools/ci/attribute.repository/my-shop/live-segments"]
  definitions_writer = ["group:marketing@my-shop.example"]
  models_writer      = ["group:data@my-shop.example"]
}

# An example of a consumer of membership changes: entries only.
webhook = {
  endpoint = "https://crm.my-shop.example/hooks/segments"
  filter   = "attributes.change = \"entered\""
}

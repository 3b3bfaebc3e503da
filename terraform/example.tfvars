# cp example.tfvars terraform.tfvars, and change the values below. A line after a # has a default or is optional;
# variables.tf describes each variable.

project_id  = "my-shop-prod"
region      = "europe-west4"
runbook_url = "https://github.com/my-shop/live-segments/blob/main/docs/terraform.md"

# The channels of alerts: gcloud beta monitoring channels list --format='value(name)'. Without one, only the console
# shows them.
notification_channels = ["projects/my-shop-prod/notificationChannels/1234567890"]

# Who may impersonate which account.
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

# The maximum of workers limits the cost of a flood of events.
workers = {
  machine_type = "n2-standard-2"
  min          = 1
  max          = 10
}

# After an image is built and the canary's segment is in the definitions: checks the whole live system every 5 minutes.
# canary = { image = "europe-west4-docker.pkg.dev/my-shop-prod/segments/live-segments@sha256:..." }

# After an image of the collector is built and its settings are in their secret: receives events over HTTPS.
# collector = {
#   image  = "europe-west4-docker.pkg.dev/my-shop-prod/segments/collector@sha256:..."
#   domain = "events.my-shop.example"
# }

# After a template is built: Terraform launches the job, instead of the delivery pipeline.
# job = {
#   template_path = "gs://my-shop-prod-segments-staging/templates/live.json"
#   image         = "europe-west4-docker.pkg.dev/my-shop-prod/segments/live-segments@sha256:..."
# }

# alert_thresholds            = { exit_lag_seconds = 60 }
# dead_letter_expiration_days = 90
# definitions_path            = "segments.yaml"
# deletion_protection         = true
# event_retention_days        = 7
# history_expiration_days     = 1100
# job_flags                   = { profile_ttl = "400d", tracking_plan = "gs://my-shop-prod-segments-definitions/tracking_plan" }
# name                        = "segments"
# raw_events_expiration_days  = 400
# redis_memory_gb             = 5
# subnet_cidr                 = "10.10.0.0/24"

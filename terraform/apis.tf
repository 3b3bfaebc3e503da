resource "google_project_service" "main" {
  for_each = toset([
    "artifactregistry.googleapis.com",
    "bigquery.googleapis.com",
    "bigquerydatatransfer.googleapis.com",
    "compute.googleapis.com",
    "dataflow.googleapis.com",
    "iamcredentials.googleapis.com",
    "logging.googleapis.com",
    "monitoring.googleapis.com",
    "pubsub.googleapis.com",
    "redis.googleapis.com",
    "run.googleapis.com",
    "secretmanager.googleapis.com",
    "servicenetworking.googleapis.com",
    "storage.googleapis.com",
  ])

  service = each.key
  # Others in the project may use it too.
  disable_on_destroy = false
}

# Google's own accounts, which grants in other files name: they exist only once somebody asks for them.
resource "google_project_service_identity" "main" {
  for_each = toset(["bigquerydatatransfer.googleapis.com", "pubsub.googleapis.com"])
  provider = google-beta

  service = google_project_service.main[each.key].service
}

# Every grant is on a single resource, except the ones at the end, for roles that can only be granted on a project.

# The job

resource "google_pubsub_subscription_iam_member" "job" {
  # viewer: Dataflow reads the subscription's settings.
  for_each = toset(["roles/pubsub.subscriber", "roles/pubsub.viewer"])

  subscription = google_pubsub_subscription.job.name
  role         = each.key
  member       = google_service_account.worker.member
}

resource "google_pubsub_topic_iam_member" "job" {
  for_each = {
    dead_letters = google_pubsub_topic.dead_letters.name
    changes      = google_pubsub_topic.changes.name
  }

  topic  = each.value
  role   = "roles/pubsub.publisher"
  member = google_service_account.worker.member
}

resource "google_bigquery_table_iam_member" "job" {
  dataset_id = google_bigquery_table.segment_changes.dataset_id
  table_id   = google_bigquery_table.segment_changes.table_id
  role       = "roles/bigquery.dataEditor"
  member     = google_service_account.worker.member
}

resource "google_storage_bucket_iam_member" "job" {
  for_each = {
    staging     = "roles/storage.objectUser"
    temp        = "roles/storage.objectUser"
    definitions = "roles/storage.objectViewer"
    models      = "roles/storage.objectViewer"
  }

  bucket = google_storage_bucket.main[each.key].name
  role   = each.value
  member = google_service_account.worker.member
}

resource "google_secret_manager_secret_iam_member" "job" {
  for_each = google_secret_manager_secret.main

  secret_id = each.value.id
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.worker.member
}

resource "google_artifact_registry_repository_iam_member" "job" {
  location   = google_artifact_registry_repository.images.location
  repository = google_artifact_registry_repository.images.name
  role       = "roles/artifactregistry.reader"
  member     = google_service_account.worker.member
}

# The collector

resource "google_pubsub_topic_iam_member" "collector" {
  for_each = {
    events       = google_pubsub_topic.events.name
    dead_letters = google_pubsub_topic.dead_letters.name
  }

  topic  = each.value
  role   = "roles/pubsub.publisher"
  member = google_service_account.collector.member
}

resource "google_secret_manager_secret_iam_member" "collector" {
  secret_id = google_secret_manager_secret.collector_settings.id
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.collector.member
}

# The delivery pipeline

resource "google_artifact_registry_repository_iam_member" "deployer" {
  location   = google_artifact_registry_repository.images.location
  repository = google_artifact_registry_repository.images.name
  role       = "roles/artifactregistry.writer"
  member     = google_service_account.deployer.member
}

resource "google_storage_bucket_iam_member" "deployer" {
  # Template specs and what a launch uploads.
  bucket = google_storage_bucket.main["staging"].name
  role   = "roles/storage.objectUser"
  member = google_service_account.deployer.member
}

resource "google_service_account_iam_member" "deployer" {
  # A job runs as the worker account, so launching it requires permission to act as that account.
  service_account_id = google_service_account.worker.name
  role               = "roles/iam.serviceAccountUser"
  member             = google_service_account.deployer.member
}

# The writers of definitions and models

resource "google_storage_bucket_iam_member" "definitions_writer" {
  bucket = google_storage_bucket.main["definitions"].name
  role   = "roles/storage.objectUser"
  member = google_service_account.definitions_writer.member
}

resource "google_storage_bucket_iam_member" "models_writer" {
  bucket = google_storage_bucket.main["models"].name
  role   = "roles/storage.objectUser"
  member = google_service_account.models_writer.member
}

# People and pipelines that impersonate an account, with tokens that last one hour, and without keys

resource "google_service_account_iam_member" "deployer_impersonators" {
  for_each = var.impersonators.deployer

  service_account_id = google_service_account.deployer.name
  role               = startswith(each.key, "principal") ? "roles/iam.workloadIdentityUser" : "roles/iam.serviceAccountTokenCreator"
  member             = each.key
}

resource "google_service_account_iam_member" "definitions_writer_impersonators" {
  for_each = var.impersonators.definitions_writer

  service_account_id = google_service_account.definitions_writer.name
  role               = startswith(each.key, "principal") ? "roles/iam.workloadIdentityUser" : "roles/iam.serviceAccountTokenCreator"
  member             = each.key
}

resource "google_service_account_iam_member" "models_writer_impersonators" {
  for_each = var.impersonators.models_writer

  service_account_id = google_service_account.models_writer.name
  role               = startswith(each.key, "principal") ? "roles/iam.workloadIdentityUser" : "roles/iam.serviceAccountTokenCreator"
  member             = each.key
}

# Pub/Sub's service agent: it writes tables, forwards undeliverable messages, and signs the webhook's tokens

resource "google_bigquery_table_iam_member" "pubsub" {
  for_each = {
    raw_events   = google_bigquery_table.raw_events.table_id
    dead_letters = google_bigquery_table.dead_letters.table_id
  }

  dataset_id = google_bigquery_dataset.main.dataset_id
  table_id   = each.value
  role       = "roles/bigquery.dataEditor"
  member     = google_project_service_identity.main["pubsub.googleapis.com"].member
}

resource "google_pubsub_topic_iam_member" "undelivered" {
  for_each = google_pubsub_topic.undelivered

  topic  = each.value.name
  role   = "roles/pubsub.publisher"
  member = google_project_service_identity.main["pubsub.googleapis.com"].member
}

resource "google_pubsub_subscription_iam_member" "undelivered" {
  # It acknowledges a forwarded message on the original subscription.
  for_each = merge(
    {
      raw-events   = google_pubsub_subscription.raw_events.name
      dead-letters = google_pubsub_subscription.dead_letters_table.name
    },
    { for subscription in google_pubsub_subscription.webhook : "webhook" => subscription.name },
  )

  subscription = each.value
  role         = "roles/pubsub.subscriber"
  member       = google_project_service_identity.main["pubsub.googleapis.com"].member
}

resource "google_service_account_iam_member" "webhook_token" {
  service_account_id = google_service_account.webhook.name
  role               = "roles/iam.serviceAccountOpenIdTokenCreator"
  member             = google_project_service_identity.main["pubsub.googleapis.com"].member
}

# The check of event rates

resource "google_bigquery_table_iam_member" "rates" {
  for_each = {
    raw_events      = google_bigquery_table.raw_events.table_id
    segment_changes = google_bigquery_table.segment_changes.table_id
  }

  dataset_id = google_bigquery_dataset.main.dataset_id
  table_id   = each.value
  role       = "roles/bigquery.dataViewer"
  member     = google_service_account.rates.member
}

resource "google_service_account_iam_member" "rates_token" {
  service_account_id = google_service_account.rates.name
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = google_project_service_identity.main["bigquerydatatransfer.googleapis.com"].member
}

# The canary, if var.canary is set

resource "google_pubsub_topic_iam_member" "canary" {
  count = local.canaries

  topic  = google_pubsub_topic.events.name
  role   = "roles/pubsub.publisher"
  member = google_service_account.canary.member
}

resource "google_storage_bucket_iam_member" "canary" {
  count = local.canaries

  bucket = google_storage_bucket.main["definitions"].name
  role   = "roles/storage.objectViewer"
  member = google_service_account.canary.member
}

resource "google_secret_manager_secret_iam_member" "canary" {
  for_each = { for name, secret in google_secret_manager_secret.main : name => secret if var.canary != null }

  secret_id = each.value.id
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.canary.member
}

resource "google_cloud_run_v2_job_iam_member" "canary" {
  # The scheduler starts the canary with the canary's own account.
  count = local.canaries

  name     = google_cloud_run_v2_job.canary[0].name
  location = google_cloud_run_v2_job.canary[0].location
  role     = "roles/run.invoker"
  member   = google_service_account.canary.member
}

# Roles that can only be granted on the project

resource "google_project_iam_member" "worker" {
  # A Dataflow job has no IAM policy.
  project = var.project_id
  role    = "roles/dataflow.worker"
  member  = google_service_account.worker.member
}

resource "google_project_iam_member" "deployer" {
  #checkov:skip=CKV_GCP_49:The role launches jobs; as whom, the grant on the worker's account decides.
  # As above: launching, updating and draining are granted for all jobs of the project.
  project = var.project_id
  role    = "roles/dataflow.developer"
  member  = google_service_account.deployer.member
}

resource "google_project_iam_member" "rates" {
  # Queries are billed to a project, so the right to run them is granted there; the right to read is granted on tables.
  project = var.project_id
  role    = "roles/bigquery.jobUser"
  member  = google_service_account.rates.member
}

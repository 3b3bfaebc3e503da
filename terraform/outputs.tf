# What the next command needs. Nothing here is a secret.

output "events_topic" {
  description = "Where the collector publishes."
  value       = google_pubsub_topic.events.id
}

output "collector_service_account" {
  description = "Whom the collector runs as."
  value       = google_service_account.collector.email
}

output "deployer_service_account" {
  description = "Whom the delivery pipeline acts as."
  value       = google_service_account.deployer.email
}

output "image_repository" {
  description = "Where images are pushed to: docker push <this>/live-segments."
  value       = "${google_artifact_registry_repository.images.location}-docker.pkg.dev/${google_artifact_registry_repository.images.project}/${google_artifact_registry_repository.images.repository_id}"
}

output "template_folder" {
  description = "Where template specs go: gcloud storage cp template.json <this>/."
  value       = "gs://${google_storage_bucket.main["staging"].name}/templates"
}

output "definitions_file" {
  description = "Where the definitions go: gcloud storage cp definitions/segments.yaml <this>, as definitions_writer."
  value       = local.job_parameters.segments
}

output "definitions_writer_service_account" {
  description = "Who may write the definitions."
  value       = google_service_account.definitions_writer.email
}

output "models_folder" {
  description = "Where training writes models, as models_writer."
  value       = "gs://${google_storage_bucket.main["models"].name}"
}

output "models_writer_service_account" {
  description = "Who may write models."
  value       = google_service_account.models_writer.email
}

output "job_name" {
  description = "The job's name, by which dashboard and alerts find it."
  value       = local.job_name
}

output "job_parameters" {
  description = "The job's flags for this installation, for who launches it by other means than launch_command."
  value       = local.job_parameters
}

output "launch_command" {
  description = "Launches the job: set TEMPLATE to the spec's gs:// path and IMAGE to the image by its digest, then run it."
  value = join(" ", [
    "gcloud dataflow flex-template run ${local.job_name}",
    "--project=${google_pubsub_topic.events.project}",
    "--region=${google_compute_subnetwork.workers.region}",
    "--template-file-gcs-location=\"$TEMPLATE\"",
    "--service-account-email=${google_service_account.worker.email}",
    "--subnetwork=${google_compute_subnetwork.workers.self_link}",
    "--disable-public-ips",
    "--staging-location=gs://${google_storage_bucket.main["staging"].name}/staging",
    "--temp-location=gs://${google_storage_bucket.main["temp"].name}/temp",
    "--parameters=\"^~^sdk_container_image=$IMAGE~${join("~", [for flag, value in local.job_parameters : "${flag}=${value}"])}\"",
  ])
}

output "raw_events_table" {
  description = "What a backfill reads, PROJECT:DATASET.TABLE."
  value       = replace(local.table_paths.raw_events, "/^([^.]+)[.]/", "$1:")
}

output "intervals_view" {
  description = "Who was in which segment when; for SELECT ... FROM `<this>`."
  value       = "${google_bigquery_table.segment_intervals.project}.${google_bigquery_table.segment_intervals.dataset_id}.${google_bigquery_table.segment_intervals.table_id}"
}

output "dead_letters_subscription" {
  description = "What a replay of dead letters pulls."
  value       = google_pubsub_subscription.dead_letters.id
}

output "redis" {
  description = "Where readers of memberships connect to from inside the network, and the secrets that open it."
  value = {
    host        = google_redis_instance.main.host
    port        = google_redis_instance.main.port
    auth_secret = local.job_parameters.redis_auth_secret
    ca_secret   = local.job_parameters.redis_ca_secret
  }
}

output "network" {
  description = "The network and subnet that readers of Redis must be in, or be attached to."
  value = {
    network    = google_compute_network.main.id
    subnetwork = google_compute_subnetwork.workers.id
  }
}

output "dashboard" {
  description = "The dashboard's name, for https://console.cloud.google.com/monitoring."
  value       = google_monitoring_dashboard.main.id
}

output "collector" {
  description = "Where the DNS of the collector's domain has to lead, if Terraform runs it; the secret that its settings go into."
  value = {
    address         = one(google_compute_global_address.collector[*].address)
    settings_secret = google_secret_manager_secret.collector_settings.secret_id
  }
}

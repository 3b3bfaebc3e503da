# Values for the next commands. No output is a secret.

output "events_topic" {
  description = "The topic that the collector publishes to."
  value       = google_pubsub_topic.events.id
}

output "collector_service_account" {
  description = "The collector's service account."
  value       = google_service_account.collector.email
}

output "deployer_service_account" {
  description = "The service account that the delivery pipeline impersonates."
  value       = google_service_account.deployer.email
}

output "image_repository" {
  description = "The repository of images: docker push <this>/live-segments."
  value       = "${google_artifact_registry_repository.images.location}-docker.pkg.dev/${google_artifact_registry_repository.images.project}/${google_artifact_registry_repository.images.repository_id}"
}

output "template_folder" {
  description = "The folder of template specs: gcloud storage cp template.json <this>/."
  value       = "gs://${google_storage_bucket.main["staging"].name}/templates"
}

output "definitions_file" {
  description = "The file of definitions: gcloud storage cp definitions/segments.yaml <this>, as definitions_writer."
  value       = local.job_parameters.segments
}

output "definitions_writer_service_account" {
  description = "The service account that may write the definitions."
  value       = google_service_account.definitions_writer.email
}

output "models_folder" {
  description = "The folder of trained models, which models_writer writes."
  value       = "gs://${google_storage_bucket.main["models"].name}"
}

output "models_writer_service_account" {
  description = "The service account that may write models."
  value       = google_service_account.models_writer.email
}

output "region" {
  description = "The job's region: gcloud dataflow jobs drain JOB_ID --region=<this>."
  value       = google_compute_subnetwork.workers.region
}

output "worker_service_account" {
  description = "The job's service account; launching the job requires permission to act as this account."
  value       = google_service_account.worker.email
}

output "job_subscription" {
  description = "The subscription that the job reads; snapshots and seeks use it too."
  value       = google_pubsub_subscription.job.id
}

output "job_name" {
  description = "The job's name, which dashboard and alerts refer to."
  value       = local.job_name
}

output "job_parameters" {
  description = "The job's flags for this installation."
  value       = local.job_parameters
}

output "deployment" {
  description = "The variables of the Makefile's commands for this installation; make infrastructure writes them to deployment.json."
  value = {
    project                   = google_pubsub_topic.events.project
    region                    = google_compute_subnetwork.workers.region
    image_repository          = "${google_artifact_registry_repository.images.location}-docker.pkg.dev/${google_artifact_registry_repository.images.project}/${google_artifact_registry_repository.images.repository_id}"
    template_folder           = "gs://${google_storage_bucket.main["staging"].name}/templates"
    definitions_file          = local.job_parameters.segments
    job_name                  = local.job_name
    job_parameters            = local.job_parameters
    workers                   = local.workers
    worker_service_account    = google_service_account.worker.email
    subnetwork                = google_compute_subnetwork.workers.self_link
    staging_location          = "gs://${google_storage_bucket.main["staging"].name}/staging"
    temp_location             = "gs://${google_storage_bucket.main["temp"].name}/temp"
    events_topic              = google_pubsub_topic.events.id
    dead_letters_subscription = google_pubsub_subscription.dead_letters.id
  }
}

output "raw_events_table" {
  description = "The table that a backfill reads, PROJECT:DATASET.TABLE."
  value       = replace(local.table_paths.raw_events, "/^([^.]+)[.]/", "$1:")
}

output "intervals_view" {
  description = "The view of all memberships with their intervals: SELECT ... FROM `<this>`."
  value       = "${google_bigquery_table.segment_intervals.project}.${google_bigquery_table.segment_intervals.dataset_id}.${google_bigquery_table.segment_intervals.table_id}"
}

output "dead_letters_subscription" {
  description = "The subscription that a replay of dead letters pulls from."
  value       = google_pubsub_subscription.dead_letters.id
}

output "redis" {
  description = "The address of Redis for readers inside the network, and the secrets with its password and certificates."
  value = {
    host        = google_redis_instance.main.host
    port        = google_redis_instance.main.port
    auth_secret = local.job_parameters.redis_auth_secret
    ca_secret   = local.job_parameters.redis_ca_secret
  }
}

output "network" {
  description = "The network and subnet from which Redis can be read."
  value = {
    network    = google_compute_network.main.id
    subnetwork = google_compute_subnetwork.workers.id
  }
}

output "canary_command" {
  description = "The command that runs the canary now; null without a canary."
  value       = one([for job in google_cloud_run_v2_job.canary : "gcloud run jobs execute ${job.name} --region=${job.location} --wait"])
}

output "dashboard" {
  description = "The dashboard's name, for https://console.cloud.google.com/monitoring."
  value       = google_monitoring_dashboard.main.id
}

output "collector" {
  description = "The address for the DNS of the collector's domain, if Terraform runs the collector; the secret for its settings."
  value = {
    address         = one(google_compute_global_address.collector[*].address)
    settings_secret = google_secret_manager_secret.collector_settings.secret_id
  }
}

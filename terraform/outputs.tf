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

output "region" {
  description = "The job's region, which every command about it takes: gcloud dataflow jobs drain JOB_ID --region=<this>."
  value       = google_compute_subnetwork.workers.region
}

output "worker_service_account" {
  description = "Whom the job runs as; who launches it must be allowed to act as this account."
  value       = google_service_account.worker.email
}

output "job_subscription" {
  description = "What the job reads, and what a snapshot or a seek is of."
  value       = google_pubsub_subscription.job.id
}

output "job_name" {
  description = "The job's name, by which dashboard and alerts find it."
  value       = local.job_name
}

output "job_parameters" {
  description = "The job's flags for this installation."
  value       = local.job_parameters
}

output "deployment" {
  description = "What the Makefile's commands need to know of this installation; make infrastructure keeps it in deployment.json."
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

output "canary_command" {
  description = "Checks the live system now, without waiting for the schedule; null without a canary."
  value       = one([for job in google_cloud_run_v2_job.canary : "gcloud run jobs execute ${job.name} --region=${job.location} --wait"])
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

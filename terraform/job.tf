locals {
  job_name = "${var.name}-live"

  # The job's own flags, from pipeline/options.py; Dataflow's options are not parameters.
  job_flags = {
    input_subscription = google_pubsub_subscription.job.id
    segments           = "gs://${google_storage_bucket.main["definitions"].name}/${var.definitions_path}"
    redis_url          = "rediss://${google_redis_instance.main.host}:${google_redis_instance.main.port}/0"
    redis_auth_secret  = "${google_secret_manager_secret.main["redis-auth"].id}/versions/latest"
    redis_ca_secret    = "${google_secret_manager_secret.main["redis-ca"].id}/versions/latest"
    history_table      = replace(local.table_paths.segment_changes, "/^([^.]+)[.]/", "$1:")
    dead_letter_topic  = google_pubsub_topic.dead_letters.id
    changes_topic      = google_pubsub_topic.changes.id
    redis_key_prefix   = var.job_flags.redis_key_prefix
    profile_ttl        = var.job_flags.profile_ttl
    idle_ttl           = var.job_flags.idle_ttl
    history_method     = var.job_flags.history_method
    tracking_plan      = var.job_flags.tracking_plan
    ignored_ids        = var.job_flags.ignored_ids
  }
  job_parameters = { for name, value in local.job_flags : name => value if value != null }

  # The runner options that depend on this installation; templates/environment.json has the others.
  workers = {
    machine_type = var.workers.machine_type
    min          = var.workers.min
    max          = var.workers.max
  }
}

# Normally the delivery pipeline launches and updates the job, because an update needs decisions that a plan cannot
# show: whether the graph is compatible, and what happens to the state. This resource is for trying the job out, and for
# users who prefer Terraform.
resource "google_dataflow_flex_template_job" "live" {
  count    = var.job == null ? 0 : 1
  provider = google-beta

  name                    = local.job_name
  region                  = var.region
  container_spec_gcs_path = var.job.template_path
  sdk_container_image     = var.job.image
  parameters              = local.job_parameters

  # Destroying or replacing the job drains it, so that it processes all messages that it has read.
  on_delete = "drain"

  service_account_email   = google_service_account.worker.email
  subnetwork              = google_compute_subnetwork.workers.self_link
  ip_configuration        = "WORKER_IP_PRIVATE"
  staging_location        = "gs://${google_storage_bucket.main["staging"].name}/staging"
  temp_location           = "gs://${google_storage_bucket.main["temp"].name}/temp"
  machine_type            = local.workers.machine_type
  num_workers             = local.workers.min
  max_workers             = local.workers.max
  enable_streaming_engine = true
  additional_pipeline_options = [
    "dataflow_service_options=min_num_workers=${local.workers.min}",
  ]

  lifecycle {
    # Dataflow reports these values in another form, or changes them itself.
    ignore_changes = [machine_type, max_workers, network, num_workers, subnetwork]
  }

  depends_on = [
    google_artifact_registry_repository_iam_member.job,
    google_bigquery_table_iam_member.job,
    google_compute_firewall.workers,
    google_project_iam_member.worker,
    google_pubsub_subscription_iam_member.job,
    google_pubsub_topic_iam_member.job,
    google_secret_manager_secret_iam_member.job,
    google_secret_manager_secret_version.main,
    google_storage_bucket_iam_member.job,
  ]
}

# What an installation becomes, with providers that only pretend. terraform test (it needs the providers' packages, and
# neither credentials nor a project).

mock_provider "google" {
  mock_resource "google_redis_instance" {
    defaults = {
      id              = "projects/my-shop-prod/locations/europe-west4/instances/segments"
      host            = "10.0.0.3"
      port            = 6378
      auth_string     = "not-a-secret"
      server_ca_certs = [{ cert = "certificate" }]
    }
  }
  mock_resource "google_bigquery_table" {
    defaults = { project = "my-shop-prod" }
  }
  mock_resource "google_pubsub_subscription" {
    defaults = { id = "projects/my-shop-prod/subscriptions/mocked" }
  }
  mock_resource "google_pubsub_topic" {
    defaults = { id = "projects/my-shop-prod/topics/mocked" }
  }
  mock_resource "google_service_account" {
    defaults = {
      email  = "mocked@my-shop-prod.iam.gserviceaccount.com"
      member = "serviceAccount:mocked@my-shop-prod.iam.gserviceaccount.com"
      name   = "projects/my-shop-prod/serviceAccounts/mocked@my-shop-prod.iam.gserviceaccount.com"
    }
  }
  mock_resource "google_secret_manager_secret" {
    defaults = { id = "projects/my-shop-prod/secrets/mocked" }
  }
  mock_resource "google_cloud_run_v2_job" {
    defaults = { id = "projects/my-shop-prod/locations/europe-west4/jobs/vip-canary" }
  }
  mock_resource "google_bigquery_data_transfer_config" {
    defaults = { name = "projects/1/locations/europe-west4/transferConfigs/abc" }
  }
}

mock_provider "google-beta" {
  mock_resource "google_project_service_identity" {
    defaults = { member = "serviceAccount:service-1@gcp-sa-pubsub.iam.gserviceaccount.com" }
  }
}

variables {
  project_id  = "my-shop-prod"
  region      = "europe-west4"
  runbook_url = "https://shop.example/runbooks"
}

run "defaults" {
  command = apply

  assert {
    condition     = length(google_dataflow_flex_template_job.live) == 0
    error_message = "Without var.job Terraform launched a job."
  }

  assert {
    condition     = length(google_cloud_run_v2_service.collector) == 0 && output.collector.address == null
    error_message = "Without var.collector Terraform ran one."
  }

  assert {
    condition     = length(google_pubsub_subscription.webhook) == 0 && !contains(keys(google_pubsub_topic.undelivered), "webhook")
    error_message = "Without var.webhook there is a webhook."
  }

  assert {
    condition     = length(google_cloud_run_v2_job.canary) == 0 && length(google_pubsub_topic_iam_member.canary) == 0 && length(google_secret_manager_secret_iam_member.canary) == 0 && output.canary_command == null
    error_message = "Without var.canary there is a canary, or its account may do something."
  }

  assert {
    condition     = keys(google_monitoring_alert_policy.query) == keys(local.query_alerts)
    error_message = "Without a canary, an alert waits for it."
  }

  assert {
    condition     = output.deployment.workers.max == 10
    error_message = "The job that the delivery pipeline launches may grow without an end."
  }

  assert {
    condition     = output.job_parameters.history_table == "my-shop-prod:segments.segment_changes"
    error_message = "The job takes PROJECT:DATASET.TABLE, not ${output.job_parameters.history_table}."
  }

  assert {
    condition     = output.job_parameters.redis_url == "rediss://10.0.0.3:6378/0"
    error_message = "Redis is reached by TLS and without a password in the URL, not by ${output.job_parameters.redis_url}."
  }

  assert {
    condition     = output.definitions_file == "gs://my-shop-prod-segments-definitions/segments.yaml"
    error_message = "The definitions are not where their writer may write."
  }

  assert {
    condition     = strcontains(google_bigquery_table.segment_intervals.view[0].query, "`my-shop-prod.segments.segment_changes`")
    error_message = "The view does not read the history."
  }

  assert {
    condition     = jsondecode(google_bigquery_table.raw_events.schema)[2].name == "publish_time"
    error_message = "Raw events are partitioned by a column that the table lacks."
  }

  assert {
    condition     = strcontains(google_bigquery_data_transfer_config.rates["event-name-collapsed"].params.query, "FROM `my-shop-prod.segments.raw_events`")
    error_message = "The watch over events does not read raw events."
  }

  assert {
    condition     = alltrue([for name, policy in google_monitoring_alert_policy.threshold : policy.documentation[0].links[0].url == "https://shop.example/runbooks#${name}"])
    error_message = "An alert does not link to its runbook."
  }

  assert {
    condition     = length(jsondecode(google_monitoring_dashboard.main.dashboard_json).mosaicLayout.tiles) == length(local.charts)
    error_message = "The dashboard lacks a chart."
  }
}

run "everything" {
  command = apply

  variables {
    name                    = "vip"
    history_expiration_days = null
    deletion_protection     = false
    impersonators           = { deployer = ["group:ci@shop.example"] }
    webhook                 = { endpoint = "https://crm.shop.example/hook", filter = "attributes.change = \"entered\"" }
    workers                 = { min = 2, max = 4 }
    canary                  = { image = "europe-west4-docker.pkg.dev/my-shop-prod/vip/live-segments@sha256:0000000000000000000000000000000000000000000000000000000000000000", every_minutes = 10 }
    collector = {
      image  = "europe-west4-docker.pkg.dev/my-shop-prod/vip/collector@sha256:0000000000000000000000000000000000000000000000000000000000000000"
      domain = "events.shop.example"
    }
    job = {
      template_path = "gs://my-shop-prod-vip-staging/templates/live.json"
      image         = "europe-west4-docker.pkg.dev/my-shop-prod/vip/live-segments@sha256:0000000000000000000000000000000000000000000000000000000000000000"
    }
  }

  assert {
    condition     = contains(google_cloud_run_v2_service.collector[0].template[0].containers[0].args, "--public_url=https://events.shop.example")
    error_message = "Browsers are not told the collector's domain."
  }

  assert {
    condition     = google_cloud_run_v2_service.collector[0].ingress == "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER"
    error_message = "The collector can be reached past its load balancer."
  }

  assert {
    condition     = google_dataflow_flex_template_job.live[0].on_delete == "drain"
    error_message = "Destroying the job would throw away what it has taken in."
  }

  assert {
    condition     = google_pubsub_subscription.webhook[0].push_config[0].oidc_token[0].audience == "https://crm.shop.example/hook"
    error_message = "Without an audience, it is the endpoint."
  }

  assert {
    condition     = contains(keys(google_pubsub_subscription_iam_member.undelivered), "webhook")
    error_message = "Pub/Sub may not take back what the webhook refused."
  }

  assert {
    condition     = google_pubsub_subscription.webhook[0].filter == "NOT hasPrefix(attributes.profile_id, \"canary:\") AND (attributes.change = \"entered\")"
    error_message = "The webhook is told of the canary, or of what it did not ask for."
  }

  assert {
    condition     = google_dataflow_flex_template_job.live[0].max_workers == 4 && google_dataflow_flex_template_job.live[0].num_workers == 2
    error_message = "The job has other workers than var.workers says."
  }

  assert {
    condition     = google_cloud_scheduler_job.canary[0].schedule == "*/10 * * * *"
    error_message = "The canary does not come every ten minutes."
  }

  assert {
    condition     = google_cloud_scheduler_job.canary[0].http_target[0].uri == "https://run.googleapis.com/v2/projects/my-shop-prod/locations/europe-west4/jobs/vip-canary:run"
    error_message = "The schedule starts something else than the canary."
  }

  assert {
    condition     = contains(google_cloud_run_v2_job.canary[0].template[0].template[0].containers[0].args, "--segments=gs://my-shop-prod-vip-definitions/segments.yaml")
    error_message = "The canary reads other definitions than the job."
  }

  assert {
    condition     = google_logging_metric.canary["exit_lag_ms"].name == "vip_canary_exit_lag_ms" && strcontains(google_monitoring_alert_policy.query["canary-exit-lag"].conditions[0].condition_prometheus_query_language[0].query, "logging_googleapis_com:user_vip_canary_exit_lag_ms_bucket{monitored_resource=\"cloud_run_job\"}[30m]")
    error_message = "The alert on the canary's exit lag reads another metric than its log makes."
  }

  assert {
    condition     = google_monitoring_alert_policy.query["canary-silent"].conditions[0].condition_prometheus_query_language[0].query == "absent_over_time(run_googleapis_com:job_completed_execution_count{monitored_resource=\"cloud_run_job\",job_name=\"vip-canary\"}[30m])"
    error_message = "The alert on a silent canary waits for something else."
  }

  assert {
    condition     = length([for tile in jsondecode(google_monitoring_dashboard.main.dashboard_json).mosaicLayout.tiles : tile if startswith(tile.widget.title, "Canary: ")]) == 2
    error_message = "The dashboard lacks the canary's charts."
  }

  # A provider may tell 0 where nothing was given.
  assert {
    condition     = coalesce(google_bigquery_table.segment_changes.time_partitioning[0].expiration_ms, 0) == 0
    error_message = "null keeps the history for ever."
  }

  assert {
    condition     = alltrue([for bucket in google_storage_bucket.main : bucket.force_destroy])
    error_message = "An installation that is being taken down keeps its buckets."
  }
}

# Sends a synthetic profile through the whole live system every few minutes: docs/canary.md. It detects faults that no
# counter of the job shows, such as a job that does not run.

locals {
  canaries = var.canary == null ? 0 : 1

  # The prefix of the ids of synthetic profiles, as in commands/canary.py.
  canary_prefix = "canary:"
  no_canary     = "NOT hasPrefix(attributes.profile_id, \"${local.canary_prefix}\")"

  canary_figures = {
    event_to_redis_ms = "From an event's timestamp to its profile in Redis, by the canary."
    exit_lag_ms       = "From a membership's end to the profile in Redis without it, by the canary."
  }

  # Unused without a canary.
  canary_minutes = var.canary == null ? 5 : var.canary.every_minutes
  canary_window  = "${3 * local.canary_minutes}m"
  canary_runs    = "run_googleapis_com:job_completed_execution_count{monitored_resource=\"cloud_run_job\",job_name=\"${var.name}-canary\""
  canary_median = {
    for figure in keys(local.canary_figures) :
    figure => "histogram_quantile(0.5, sum by (le) (increase(logging_googleapis_com:user_${local.canary_metrics[figure]}_bucket{monitored_resource=\"cloud_run_job\"}[${local.canary_window}])))"
  }
  canary_metrics = { for figure in keys(local.canary_figures) : figure => "${replace(var.name, "-", "_")}_canary_${figure}" }

  # Over three checks, so that a single failure does not fire the alert.
  canary_alerts = {
    canary-failed = {
      summary  = "Of the last three checks with a synthetic profile, two or more failed: events do not come to Redis, or nobody leaves a segment."
      severity = "CRITICAL"
      query    = "sum(increase(${local.canary_runs},result=\"failed\"}[${local.canary_window}])) > 1.5"
      minutes  = 5
    }
    canary-silent = {
      summary  = "No check with a synthetic profile has ended for ${6 * local.canary_minutes} minutes: nobody would notice if the live system stood still."
      severity = "ERROR"
      # The same duration again, so that the alert does not fire before the first check has ended.
      query   = "absent_over_time(${local.canary_runs}}[${local.canary_window}])"
      minutes = 3 * local.canary_minutes
    }
    canary-event-to-redis = {
      summary  = "An event takes more than ${var.alert_thresholds.event_to_redis_seconds} s to Redis, by the median of three checks."
      severity = "ERROR"
      query    = "${local.canary_median["event_to_redis_ms"]} > ${1000 * var.alert_thresholds.event_to_redis_seconds}"
      minutes  = 5
    }
    canary-exit-lag = {
      summary  = "Time alone takes a profile out of its segment more than ${var.alert_thresholds.exit_lag_seconds} s late, by the median of three checks."
      severity = "ERROR"
      query    = "${local.canary_median["exit_lag_ms"]} > ${1000 * var.alert_thresholds.exit_lag_seconds}"
      minutes  = 5
    }
  }
}

resource "google_cloud_run_v2_job" "canary" {
  count = local.canaries

  name                = "${var.name}-canary"
  location            = var.region
  deletion_protection = false # it has no data

  template {
    template {
      service_account = google_service_account.canary.email
      # The canary waits 2 min for the entry, at most 1 min for the stay, and 2 min for the exit.
      timeout = "420s"
      # A retry would hide the failure of the first attempt.
      max_retries = 0

      containers {
        image   = var.canary.image
        command = ["python", "-m", "commands.cli"]
        args = [
          "canary",
          "--events_topic=${google_pubsub_topic.events.id}",
          "--segments=${local.job_parameters.segments}",
          "--redis_url=${local.job_parameters.redis_url}",
          "--redis_auth_secret=${local.job_parameters.redis_auth_secret}",
          "--redis_ca_secret=${local.job_parameters.redis_ca_secret}",
          "--redis_key_prefix=${local.job_parameters.redis_key_prefix}",
          "--timeout_seconds=120",
        ]

        resources {
          limits = {
            cpu    = "1"
            memory = "1Gi"
          }
        }
      }

      # Redis has only a private address; all other traffic uses Private Google Access.
      vpc_access {
        egress = "PRIVATE_RANGES_ONLY"

        network_interfaces {
          network    = google_compute_network.main.id
          subnetwork = google_compute_subnetwork.workers.id
        }
      }
    }
  }

  depends_on = [
    google_project_service.main,
    google_pubsub_topic_iam_member.canary,
    google_secret_manager_secret_iam_member.canary,
    google_secret_manager_secret_version.main,
    google_storage_bucket_iam_member.canary,
  ]
}

resource "google_cloud_scheduler_job" "canary" {
  count = local.canaries

  name             = "${var.name}-canary"
  region           = var.region
  description      = "Starts the canary."
  schedule         = "*/${local.canary_minutes} * * * *"
  time_zone        = "Etc/UTC"
  attempt_deadline = "60s"

  http_target {
    http_method = "POST"
    uri         = "https://run.googleapis.com/v2/${google_cloud_run_v2_job.canary[0].id}:run"

    oauth_token {
      service_account_email = google_service_account.canary.email
    }
  }

  depends_on = [google_cloud_run_v2_job_iam_member.canary]
}

# Metrics of the canary's JSON log line.
resource "google_logging_metric" "canary" {
  for_each = { for figure, meaning in local.canary_figures : figure => meaning if var.canary != null }

  name            = local.canary_metrics[each.key]
  description     = each.value
  filter          = "resource.type = \"cloud_run_job\" AND resource.labels.job_name = \"${google_cloud_run_v2_job.canary[0].name}\" AND jsonPayload.${each.key} >= 0"
  value_extractor = "EXTRACT(jsonPayload.${each.key})"

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "DISTRIBUTION"
    unit        = "ms"
  }

  # Buckets from 0.1 s to half an hour, each limit 25 % above the one before.
  bucket_options {
    exponential_buckets {
      num_finite_buckets = 44
      growth_factor      = 1.25
      scale              = 100
    }
  }

  depends_on = [google_project_service.main]
}

# Alerts: each describes the fault and links to its own heading in the runbooks. The name of an alert is the anchor.

locals {
  job_counter = "dataflow_googleapis_com:job_user_counter"
  job_label   = "monitored_resource=\"dataflow_job\",job_name=\"${local.job_name}\""

  # In Cloud Monitoring, Beam's counters are totals since the job's start, and its distributions are the mean and count
  # of the same time. A recent value is therefore a difference.
  exits   = "${local.job_counter}{${local.job_label},metric_name=\"exit_lag_ms_COUNT\"}"
  lag     = "${local.job_counter}{${local.job_label},metric_name=\"exit_lag_ms_MEAN\"}"
  waited  = "(${local.lag} * ignoring (metric_name) ${local.exits})"
  waited0 = "(${local.lag} offset 10m * ignoring (metric_name) ${local.exits} offset 10m)"

  exit_lag_seconds = "(${local.waited} - ${local.waited0}) / ignoring (metric_name) (${local.exits} - ${local.exits} offset 10m) / 1000"

  stale_writes    = "sum(delta(${local.job_counter}{${local.job_label},metric_name=\"redis_writes_stale\"}[10m]))"
  taken_over      = "sum(delta(${local.job_counter}{${local.job_label},metric_name=\"redis_writes_taken_over\"}[10m]))"
  accepted_writes = "sum(delta(${local.job_counter}{${local.job_label},metric_name=\"redis_writes_accepted\"}[10m]))"
  refused_rows    = "sum(delta(${local.job_counter}{${local.job_label},metric_name=\"rows_refused\"}[10m]))"
  stale_ratio     = "${local.stale_writes} / (${local.stale_writes} + ${local.accepted_writes})"

  published         = "pubsub_googleapis_com:topic_send_message_operation_count{monitored_resource=\"pubsub_topic\",topic_id="
  dead_letter_rate  = "sum(rate(${local.published}\"${google_pubsub_topic.dead_letters.name}\"}[10m]))"
  event_rate        = "sum(rate(${local.published}\"${google_pubsub_topic.events.name}\"}[10m]))"
  dead_letter_ratio = "${local.dead_letter_rate} / ${local.event_rate}"
  evicted           = "redis_googleapis_com:stats_evicted_keys{monitored_resource=\"redis_instance\",instance_id=\"${google_redis_instance.main.id}\"}[10m]"
  evictions         = "sum(max_over_time(${local.evicted}) - min_over_time(${local.evicted}))"

  job_resource   = "resource.type = \"dataflow_job\" AND resource.labels.job_name = \"${local.job_name}\""
  redis_resource = "resource.type = \"redis_instance\" AND resource.labels.instance_id = \"${google_redis_instance.main.id}\""

  # Alerts on a metric that stays above a value for some minutes.
  threshold_alerts = {
    data-freshness = {
      summary  = "The job is more than ${var.alert_thresholds.data_freshness_seconds} s behind: memberships are late, and exits too."
      severity = "CRITICAL"
      filter   = "metric.type = \"dataflow.googleapis.com/job/data_watermark_age\" AND ${local.job_resource}"
      above    = var.alert_thresholds.data_freshness_seconds
      minutes  = 5
    }
    backlog-age = {
      summary  = "An event has waited more than ${var.alert_thresholds.backlog_age_seconds} s for the job, or there is no job."
      severity = "CRITICAL"
      filter   = "metric.type = \"pubsub.googleapis.com/subscription/oldest_unacked_message_age\" AND resource.type = \"pubsub_subscription\" AND resource.labels.subscription_id = \"${google_pubsub_subscription.job.name}\""
      above    = var.alert_thresholds.backlog_age_seconds
      minutes  = 5
    }
    redis-memory = {
      summary  = "Redis is nearly full. When it is, it refuses writes, and the job stands still."
      severity = "ERROR"
      filter   = "metric.type = \"redis.googleapis.com/stats/memory/usage_ratio\" AND ${local.redis_resource}"
      above    = var.alert_thresholds.redis_memory_ratio
      minutes  = 5
    }
    redis-system-memory = {
      summary  = "The machine that Redis runs on is nearly full, with connections and a snapshot's copies counted in. When it is, Redis refuses writes."
      severity = "ERROR"
      filter   = "metric.type = \"redis.googleapis.com/stats/memory/system_memory_usage_ratio\" AND ${local.redis_resource}"
      above    = var.alert_thresholds.redis_memory_ratio
      minutes  = 5
    }
    undelivered = {
      summary  = "Pub/Sub could not deliver something: raw events or dead letters to BigQuery, or changes to the webhook."
      severity = "WARNING"
      filter   = "metric.type = \"pubsub.googleapis.com/subscription/num_undelivered_messages\" AND resource.type = \"pubsub_subscription\" AND resource.labels.subscription_id = starts_with(\"${var.name}-undelivered-\")"
      above    = 0
      minutes  = 5
    }
    job-failed = {
      summary  = "The job has failed. Pub/Sub keeps events for ${var.event_retention_days} days."
      severity = "CRITICAL"
      filter   = "metric.type = \"dataflow.googleapis.com/job/is_failed\" AND ${local.job_resource}"
      above    = 0
      minutes  = 0
    }
  }

  # Alerts on a quotient or a difference that stays above a value for some minutes.
  query_alerts = {
    exit-lag = {
      summary  = "Exits by time alone come more than ${var.alert_thresholds.exit_lag_seconds} s late, on average over ten minutes."
      severity = "ERROR"
      query    = "${local.exit_lag_seconds} > ${var.alert_thresholds.exit_lag_seconds}"
      minutes  = 5
    }
    dead-letter-rate = {
      summary  = "More than ${var.alert_thresholds.dead_letter_ratio * 100} % of events cannot be processed."
      severity = "ERROR"
      query    = "${local.dead_letter_ratio} > ${var.alert_thresholds.dead_letter_ratio}"
      minutes  = 5
    }
    stale-write-rate = {
      summary  = "Redis holds newer profiles than the job writes, in more than ${var.alert_thresholds.stale_write_ratio * 100} % of writes: are there two writers?"
      severity = "ERROR"
      query    = "${local.stale_ratio} > ${var.alert_thresholds.stale_write_ratio}"
      minutes  = 5
    }
    profiles-taken-over = {
      summary  = "Another job or run has written profiles of this job under the same prefix; Redis refuses the job's newer snapshots of them."
      severity = "ERROR"
      query    = "${local.taken_over} > 0"
      minutes  = 5
    }
    redis-evictions = {
      summary  = "Redis throws profiles away. It must not: its policy is noeviction."
      severity = "CRITICAL"
      query    = "${local.evictions} > 0"
      minutes  = 5
    }
    insert-errors = {
      summary  = "BigQuery refuses rows of the history; they are dead letters now."
      severity = "ERROR"
      query    = "${local.refused_rows} > 0"
      minutes  = 5
    }
  }

  # Alerts on the findings of scheduled queries, by their names in rates.tf.
  rate_alerts = {
    event-name-collapsed = "Events of some name have nearly stopped; the log entry names them. A release of the shop may have lost them."
    segment-collapsed    = "Hardly anyone enters some segment any more; the log entry names it. Its rule, or an event it needs, may have changed."
  }

  runbooks = {
    for name in concat(keys(local.threshold_alerts), keys(local.query_alerts), keys(local.canary_alerts), keys(local.rate_alerts)) :
    name => "${var.runbook_url}#${name}"
  }
}

resource "google_monitoring_alert_policy" "threshold" {
  for_each = local.threshold_alerts

  display_name          = "${var.name}: ${each.key}"
  combiner              = "OR"
  severity              = each.value.severity
  notification_channels = var.notification_channels

  conditions {
    display_name = each.key

    condition_threshold {
      filter          = each.value.filter
      comparison      = "COMPARISON_GT"
      threshold_value = each.value.above
      duration        = "${each.value.minutes * 60}s"

      aggregations {
        alignment_period   = "60s"
        per_series_aligner = "ALIGN_MAX"
      }
    }
  }

  documentation {
    content   = "${each.value.summary}\n\nRunbook: ${local.runbooks[each.key]}"
    mime_type = "text/markdown"

    links {
      display_name = "Runbook"
      url          = local.runbooks[each.key]
    }
  }

  depends_on = [google_project_service.main]
}

resource "google_monitoring_alert_policy" "query" {
  for_each = merge(local.query_alerts, { for name, alert in local.canary_alerts : name => alert if var.canary != null })

  display_name          = "${var.name}: ${each.key}"
  combiner              = "OR"
  severity              = each.value.severity
  notification_channels = var.notification_channels

  conditions {
    display_name = each.key

    condition_prometheus_query_language {
      query               = each.value.query
      duration            = "${each.value.minutes * 60}s"
      evaluation_interval = "60s"
      # A metric does not exist before its counter has counted for the first time.
      disable_metric_validation = true
    }
  }

  documentation {
    content   = "${each.value.summary}\n\nRunbook: ${local.runbooks[each.key]}"
    mime_type = "text/markdown"

    links {
      display_name = "Runbook"
      url          = local.runbooks[each.key]
    }
  }

  depends_on = [google_project_service.main]
}

resource "google_monitoring_alert_policy" "rate" {
  for_each = local.rate_alerts

  display_name          = "${var.name}: ${each.key}"
  combiner              = "OR"
  severity              = "ERROR"
  notification_channels = var.notification_channels

  conditions {
    display_name = each.key

    condition_matched_log {
      filter = "resource.type = \"bigquery_dts_config\" AND resource.labels.config_id = \"${basename(google_bigquery_data_transfer_config.rates[each.key].name)}\" AND severity >= ERROR"
    }
  }

  alert_strategy {
    auto_close = "86400s"

    notification_rate_limit {
      period = "21600s"
    }
  }

  documentation {
    content   = "${each.value}\n\nRunbook: ${local.runbooks[each.key]}"
    mime_type = "text/markdown"

    links {
      display_name = "Runbook"
      url          = local.runbooks[each.key]
    }
  }

  depends_on = [google_project_service.main]
}

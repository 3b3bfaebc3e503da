locals {
  # Two charts in each row, from input to output, and then the canary's end-to-end charts.
  charts = concat([
    { title = "Events a second, by topic", query = "sum by (topic_id) (rate(${local.published}~\"${var.name}-.*\"}[5m]))" },
    { title = "Age of the oldest event that waits (s)", query = "max(pubsub_googleapis_com:subscription_oldest_unacked_message_age{monitored_resource=\"pubsub_subscription\",subscription_id=\"${google_pubsub_subscription.job.name}\"})" },
    { title = "Data freshness (s)", query = "max(dataflow_googleapis_com:job_data_watermark_age{${local.job_label}})" },
    { title = "System lag (s)", query = "max(dataflow_googleapis_com:job_system_lag{${local.job_label}})" },
    { title = "Exit lag (s, mean over ten minutes)", query = local.exit_lag_seconds },
    { title = "Dead letters, share of events", query = local.dead_letter_ratio },
    { title = "Changes in ten minutes", query = "sum by (metric_name) (delta(${local.job_counter}{${local.job_label},metric_name=~\"segments_entered|segments_exited|corrections|events_late|events_repeated\"}[10m]))" },
    { title = "Dead letters in ten minutes, by reason", query = "sum by (metric_name) (delta(${local.job_counter}{${local.job_label},metric_name=~\"events_dead_lettered_.*|rows_refused\"}[10m]))" },
    { title = "Stale writes, share of writes", query = local.stale_ratio },
    { title = "Redis: memory used (share)", query = "max(redis_googleapis_com:stats_memory_usage_ratio{monitored_resource=\"redis_instance\",instance_id=\"${google_redis_instance.main.id}\"})" },
    { title = "Redis: memory of its machine used (share)", query = "max(redis_googleapis_com:stats_memory_system_memory_usage_ratio{monitored_resource=\"redis_instance\",instance_id=\"${google_redis_instance.main.id}\"})" },
    { title = "Rows that BigQuery refused in ten minutes", query = local.refused_rows },
    { title = "vCPUs", query = "sum(dataflow_googleapis_com:job_current_num_vcpus{${local.job_label}})" },
    { title = "Undelivered by Pub/Sub", query = "sum by (subscription_id) (pubsub_googleapis_com:subscription_num_undelivered_messages{monitored_resource=\"pubsub_subscription\",subscription_id=~\"${var.name}-undelivered-.*\"})" },
    ], var.canary == null ? [] : [
    { title = "Canary: event to Redis (ms, median)", query = local.canary_median["event_to_redis_ms"] },
    { title = "Canary: exit lag (ms, median)", query = local.canary_median["exit_lag_ms"] },
  ])
}

resource "google_monitoring_dashboard" "main" {
  dashboard_json = jsonencode({
    displayName = "${var.name}: from events to memberships"
    mosaicLayout = {
      columns = 48
      tiles = [
        for index, chart in local.charts : {
          xPos   = (index % 2) * 24
          yPos   = floor(index / 2) * 16
          width  = 24
          height = 16
          widget = {
            title = chart.title
            xyChart = {
              dataSets = [{
                plotType        = "LINE"
                timeSeriesQuery = { prometheusQuery = chart.query }
              }]
            }
          }
        }
      ]
    }
  })

  depends_on = [google_project_service.main]
}

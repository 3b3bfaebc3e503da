# No counter has a label for events or segments, because there may be many and a project's metrics are limited. The
# tables have them, so a query compares an hour with the same hour of yesterday and of a week ago. The query fails when a
# rate has collapsed, and its log names the event or segment; the alert matches this log. The canary is excluded, because
# its rate follows its schedule.

locals {
  watched_rates = {
    event-name-collapsed = {
      what  = "names of events"
      table = local.table_paths.raw_events
      name  = "IF(JSON_VALUE(data, '$.type') = 'track' AND IFNULL(NOT STARTS_WITH(JSON_VALUE(data, '$.userId'), '${local.canary_prefix}'), TRUE), JSON_VALUE(data, '$.event'), NULL)"
      time  = "publish_time"
    }
    segment-collapsed = {
      what  = "entries into a segment"
      table = local.table_paths.segment_changes
      name  = "IF(change = 'entered' AND NOT STARTS_WITH(profile_id, '${local.canary_prefix}'), segment, NULL)"
      time  = "event_time"
    }
  }
}

resource "google_bigquery_data_transfer_config" "rates" {
  for_each = local.watched_rates

  display_name         = "${var.name}: ${each.key}"
  location             = google_bigquery_dataset.main.location
  data_source_id       = "scheduled_query"
  schedule             = "every 1 hours"
  service_account_name = google_service_account.rates.email

  params = {
    query = templatefile("${path.module}/sql/collapsed_rates.sql", merge(each.value, {
      ratio    = var.alert_thresholds.collapsed_rate_ratio
      at_least = var.alert_thresholds.collapsed_rate_at_least
    }))
  }

  depends_on = [
    google_bigquery_table_iam_member.rates,
    google_project_iam_member.rates,
    google_service_account_iam_member.rates_token,
  ]
}

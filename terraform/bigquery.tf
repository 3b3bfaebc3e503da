locals {
  table_paths = {
    for table in [google_bigquery_table.raw_events, google_bigquery_table.segment_changes, google_bigquery_table.dead_letters] :
    table.table_id => "${table.project}.${table.dataset_id}.${table.table_id}"
  }
  day_ms = 86400000
}

resource "google_bigquery_dataset" "main" {
  #checkov:skip=CKV_GCP_81:Google's key encrypts it, as for the events topic in pubsub.tf.
  dataset_id                 = replace(var.name, "-", "_")
  location                   = var.region
  description                = "Raw events, the history of segment memberships, and dead letters."
  max_time_travel_hours      = "168"
  delete_contents_on_destroy = false

  depends_on = [google_project_service.main]
}

# A BigQuery subscription writes this table. The body is text, exactly as it was sent: a JSON column would refuse other
# text, and change the format of numbers. Partitions of an hour let the check of event rates read hours and not days.
resource "google_bigquery_table" "raw_events" {
  #checkov:skip=CKV_GCP_80:Google's key encrypts it, as for the events topic in pubsub.tf.
  #checkov:skip=CKV_GCP_121:It is on unless an installation is taken down on purpose: var.deletion_protection.
  dataset_id               = google_bigquery_dataset.main.dataset_id
  table_id                 = "raw_events"
  description              = "Every message of the events topic, unchanged."
  schema                   = file("${path.module}/schemas/raw_events.schema.json")
  clustering               = ["message_id"]
  require_partition_filter = true
  deletion_protection      = var.deletion_protection

  time_partitioning {
    type          = "HOUR"
    field         = "publish_time"
    expiration_ms = var.raw_events_expiration_days * local.day_ms
  }
}

resource "google_bigquery_table" "segment_changes" {
  #checkov:skip=CKV_GCP_80:Google's key encrypts it, as for the events topic in pubsub.tf.
  #checkov:skip=CKV_GCP_121:It is on unless an installation is taken down on purpose: var.deletion_protection.
  dataset_id          = google_bigquery_dataset.main.dataset_id
  table_id            = "segment_changes"
  description         = "Every entry and exit, at least once; the view segment_intervals drops repeats."
  schema              = file("${path.module}/../stores/history/sql/segment_changes.schema.json")
  clustering          = ["segment", "profile_id"]
  deletion_protection = var.deletion_protection

  time_partitioning {
    type          = "DAY"
    field         = "event_time"
    expiration_ms = var.history_expiration_days == null ? null : var.history_expiration_days * local.day_ms
  }
}

resource "google_bigquery_table" "dead_letters" {
  #checkov:skip=CKV_GCP_80:Google's key encrypts it, as for the events topic in pubsub.tf.
  #checkov:skip=CKV_GCP_121:It is on unless an installation is taken down on purpose: var.deletion_protection.
  dataset_id          = google_bigquery_dataset.main.dataset_id
  table_id            = "dead_letters"
  description         = "Whole inputs that could not be processed, with the reason."
  schema              = file("${path.module}/../stores/history/sql/dead_letters.schema.json")
  clustering          = ["reason", "step"]
  deletion_protection = var.deletion_protection

  time_partitioning {
    type          = "DAY"
    field         = "received_at"
    expiration_ms = var.dead_letter_expiration_days * local.day_ms
  }
}

resource "google_bigquery_table" "segment_intervals" {
  #checkov:skip=CKV_GCP_80:A view holds no data.
  #checkov:skip=CKV_GCP_121:A view holds no data.
  dataset_id          = google_bigquery_dataset.main.dataset_id
  table_id            = "segment_intervals"
  description         = "One row per stay of a profile in a segment: [entered_at, exited_at)."
  deletion_protection = false

  view {
    query          = templatefile("${path.module}/../stores/history/sql/segment_intervals.sql", { table = local.table_paths.segment_changes })
    use_legacy_sql = false
  }
}

locals {
  # Undeliverable messages are kept for the longest retention that Pub/Sub allows.
  undelivered_retention = "${31 * 86400}s"
  event_retention       = "${var.event_retention_days * 86400}s"
}

# Events

resource "google_pubsub_topic" "events" {
  #checkov:skip=CKV_GCP_83:Google's key encrypts it; a key of one's own would be one more thing whose loss stops the pipeline, and no rule here asks for it.
  name                       = "${var.name}-events"
  message_retention_duration = local.event_retention

  message_storage_policy {
    allowed_persistence_regions = [var.region]
  }

  depends_on = [google_project_service.main]
}

# Only the job reads this subscription. Dataflow acknowledges a message when its first step has stored it, and never
# refuses one. A dead-letter policy would therefore only divert valid messages whose lease expired; the job writes dead
# letters itself. Ordering is off, because event time decides. Exactly-once delivery is off, because Dataflow and the
# profile's state drop repeats.
resource "google_pubsub_subscription" "job" {
  name                       = "${var.name}-job"
  topic                      = google_pubsub_topic.events.id
  ack_deadline_seconds       = 60
  message_retention_duration = local.event_retention

  expiration_policy {
    ttl = "" # never, however long the job is down
  }
}

# Pub/Sub writes every message unchanged, with its metadata, to the table that a backfill reads. No job is involved.
resource "google_pubsub_subscription" "raw_events" {
  name                       = "${var.name}-raw-events"
  topic                      = google_pubsub_topic.events.id
  ack_deadline_seconds       = 60
  message_retention_duration = local.event_retention

  bigquery_config {
    table          = local.table_paths.raw_events
    write_metadata = true
  }

  dead_letter_policy {
    dead_letter_topic     = google_pubsub_topic.undelivered["raw-events"].id
    max_delivery_attempts = 10
  }

  retry_policy {
    minimum_backoff = "10s"
    maximum_backoff = "600s"
  }

  expiration_policy {
    ttl = ""
  }

  depends_on = [google_bigquery_table_iam_member.pubsub, google_pubsub_topic_iam_member.undelivered]
}

# Membership changes

resource "google_pubsub_topic" "changes" {
  #checkov:skip=CKV_GCP_83:As for the events topic.
  name                       = "${var.name}-changes"
  message_retention_duration = "${7 * 86400}s"

  message_storage_policy {
    allowed_persistence_regions = [var.region]
  }

  depends_on = [google_project_service.main]
}

# An example of a consumer: each change is an HTTPS request with an identity token. Delivery is at least once, in any
# order: the endpoint drops repeats by `change_id` and orders by `profile_version`. The canary's profiles are excluded.
resource "google_pubsub_subscription" "webhook" {
  count = var.webhook == null ? 0 : 1

  name                       = "${var.name}-webhook"
  topic                      = google_pubsub_topic.changes.id
  filter                     = join(" AND ", compact([local.no_canary, var.webhook.filter == "" ? "" : "(${var.webhook.filter})"]))
  ack_deadline_seconds       = 30
  message_retention_duration = "${7 * 86400}s"

  push_config {
    push_endpoint = var.webhook.endpoint

    oidc_token {
      service_account_email = google_service_account.webhook.email
      audience              = coalesce(var.webhook.audience, var.webhook.endpoint)
    }
  }

  dead_letter_policy {
    dead_letter_topic     = google_pubsub_topic.undelivered["webhook"].id
    max_delivery_attempts = 20
  }

  retry_policy {
    minimum_backoff = "10s"
    maximum_backoff = "600s"
  }

  expiration_policy {
    ttl = ""
  }

  depends_on = [google_pubsub_topic_iam_member.undelivered, google_service_account_iam_member.webhook_token]
}

# Dead letters: inputs that the job could not process

resource "google_pubsub_topic" "dead_letters" {
  #checkov:skip=CKV_GCP_83:As for the events topic.
  name                       = "${var.name}-dead-letters"
  message_retention_duration = "${31 * 86400}s"

  message_storage_policy {
    allowed_persistence_regions = [var.region]
  }

  depends_on = [google_project_service.main]
}

# For a replay: pull, fix, publish to the events topic, acknowledge.
resource "google_pubsub_subscription" "dead_letters" {
  name                       = "${var.name}-dead-letters"
  topic                      = google_pubsub_topic.dead_letters.id
  ack_deadline_seconds       = 600
  message_retention_duration = local.undelivered_retention

  expiration_policy {
    ttl = ""
  }
}

# For queries with SQL.
resource "google_pubsub_subscription" "dead_letters_table" {
  name                       = "${var.name}-dead-letters-table"
  topic                      = google_pubsub_topic.dead_letters.id
  ack_deadline_seconds       = 60
  message_retention_duration = "${7 * 86400}s"

  bigquery_config {
    table            = local.table_paths.dead_letters
    use_table_schema = true
  }

  dead_letter_policy {
    dead_letter_topic     = google_pubsub_topic.undelivered["dead-letters"].id
    max_delivery_attempts = 10
  }

  retry_policy {
    minimum_backoff = "10s"
    maximum_backoff = "600s"
  }

  expiration_policy {
    ttl = ""
  }

  depends_on = [google_bigquery_table_iam_member.pubsub, google_pubsub_topic_iam_member.undelivered]
}

# Messages that Pub/Sub could not deliver, by subscription

locals {
  undelivered = toset(concat(["dead-letters", "raw-events"], var.webhook == null ? [] : ["webhook"]))
}

resource "google_pubsub_topic" "undelivered" {
  #checkov:skip=CKV_GCP_83:As for the events topic.
  for_each = local.undelivered

  name = "${var.name}-undelivered-${each.key}"

  message_storage_policy {
    allowed_persistence_regions = [var.region]
  }

  depends_on = [google_project_service.main]
}

resource "google_pubsub_subscription" "undelivered" {
  for_each = local.undelivered

  name                       = "${var.name}-undelivered-${each.key}"
  topic                      = google_pubsub_topic.undelivered[each.key].id
  ack_deadline_seconds       = 600
  message_retention_duration = local.undelivered_retention

  expiration_policy {
    ttl = ""
  }
}

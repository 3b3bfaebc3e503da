locals {
  # What could not be delivered keeps for as long as Pub/Sub allows a subscription to keep it.
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

# The job's own, and no other reader's. Dataflow acknowledges what its first step has stored and never refuses a
# message, so a dead-letter policy here would only divert good ones whose lease ran out; the job writes dead letters
# itself. No ordering (event time decides) and no exactly-once delivery (Dataflow and the profile's state drop
# repeats).
resource "google_pubsub_subscription" "job" {
  name                       = "${var.name}-job"
  topic                      = google_pubsub_topic.events.id
  ack_deadline_seconds       = 60
  message_retention_duration = local.event_retention

  expiration_policy {
    ttl = "" # never, however long the job is down
  }
}

# Every message as it came, with its metadata: what a backfill reads. No job takes part, so none can lose anything.
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

# An example of a consumer: each change as an HTTPS request, with a token that tells who is asking. At least once, in
# any order: the endpoint drops repeats by `change_id` and goes by `profile_version`. The canary's profiles are nobody's
# business.
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

# For a replay: pull, mend, publish to the events topic, acknowledge.
resource "google_pubsub_subscription" "dead_letters" {
  name                       = "${var.name}-dead-letters"
  topic                      = google_pubsub_topic.dead_letters.id
  ack_deadline_seconds       = 600
  message_retention_duration = local.undelivered_retention

  expiration_policy {
    ttl = ""
  }
}

# For looking at them with SQL.
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

# What Pub/Sub itself could not deliver, by whom it was meant for

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

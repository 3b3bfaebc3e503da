# Redis, from which applications read memberships.
#
# noeviction: an evicted profile would look like a user who is in no segment, and nobody would notice. A full Redis
# refuses writes instead: the job retries its bundle, nothing is lost, and the alerts on memory and freshness fire.
#
# Snapshots to disk every hour, for the loss of both nodes; the replica covers the loss of one zone. Memberships of an
# hour ago, each with its own expires_at, are better than none until each profile's next event or a backfill.
resource "google_redis_instance" "main" {
  #checkov:skip=CKV2_GCP_37:Google's key encrypts it, as for the events topic in pubsub.tf.
  name           = var.name
  display_name   = "Segment memberships"
  region         = var.region
  tier           = "STANDARD_HA"
  memory_size_gb = var.redis_memory_gb
  redis_version  = "REDIS_7_2"

  authorized_network      = google_compute_network.main.id
  connect_mode            = "PRIVATE_SERVICE_ACCESS"
  auth_enabled            = true
  transit_encryption_mode = "SERVER_AUTHENTICATION"

  redis_configs = {
    maxmemory-policy = "noeviction"
  }

  persistence_config {
    persistence_mode    = "RDB"
    rdb_snapshot_period = "ONE_HOUR"
  }

  # Maintenance causes a failover of some seconds, so it is scheduled for the quietest hour of the week.
  maintenance_policy {
    weekly_maintenance_window {
      day = "TUESDAY"

      start_time {
        hours   = 3
        minutes = 0
        seconds = 0
        nanos   = 0
      }
    }
  }

  depends_on = [google_project_service.main, google_service_networking_connection.services]
}

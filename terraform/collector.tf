# The collector receives all events from outside; no one else publishes to the events topic.

# Sources and their write keys, docs/collector.md. Its versions are added by hand, so that no write key stands in
# Terraform's state; one has to be there before var.collector is set.
resource "google_secret_manager_secret" "collector_settings" {
  #checkov:skip=CKV_GCP_114:Google's key encrypts it, as for the events topic in pubsub.tf.
  secret_id           = "${var.name}-collector-settings"
  deletion_protection = var.deletion_protection

  replication {
    user_managed {
      replicas {
        location = var.region
      }
    }
  }

  depends_on = [google_project_service.main]
}

resource "google_cloud_run_v2_service" "collector" {
  count = var.collector == null ? 0 : 1

  name                = "${var.name}-collector"
  location            = var.region
  description         = "Receives events from SDKs and publishes them to Pub/Sub."
  deletion_protection = var.deletion_protection

  # Only through the load balancer. SDKs have write keys, which the collector checks, and no Google accounts.
  ingress              = "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER"
  invoker_iam_disabled = true

  template {
    service_account                  = google_service_account.collector.email
    timeout                          = "60s"
    max_instance_request_concurrency = 250

    scaling {
      min_instance_count = var.collector.min_instances
      max_instance_count = var.collector.max_instances
    }

    containers {
      image = var.collector.image

      args = [
        "--host=0.0.0.0",
        "--settings=/settings/collector.yaml",
        "--tracking_plan=definitions/tracking_plan",
        "--events_topic=${google_pubsub_topic.events.id}",
        "--dead_letter_topic=${google_pubsub_topic.dead_letters.id}",
        "--public_url=https://${var.collector.domain}",
        # The load balancer appends two addresses to X-Forwarded-For: the client's and its own.
        "--trusted_proxies=2",
      ]

      ports {
        container_port = 8080
      }

      resources {
        limits = {
          # Twice the memory that the collector bounds itself to; services/collector/memory_budget.py has the reckoning.
          cpu    = "1"
          memory = "1Gi"
        }
        # No work is left between requests, because a response waits for Pub/Sub.
        cpu_idle          = true
        startup_cpu_boost = true
      }

      volume_mounts {
        name       = "settings"
        mount_path = "/settings"
      }

      startup_probe {
        timeout_seconds   = 3
        period_seconds    = 3
        failure_threshold = 20

        http_get {
          path = "/readyz"
        }
      }

      # Not /readyz: if Pub/Sub is unavailable, a restart does not help.
      liveness_probe {
        timeout_seconds   = 3
        period_seconds    = 10
        failure_threshold = 3

        http_get {
          path = "/healthz"
        }
      }
    }

    volumes {
      name = "settings"

      secret {
        secret = google_secret_manager_secret.collector_settings.secret_id

        items {
          version = "latest"
          path    = "collector.yaml"
        }
      }
    }
  }

  depends_on = [
    google_pubsub_topic_iam_member.collector,
    google_secret_manager_secret_iam_member.collector,
  ]
}

# The load balancer

resource "google_compute_region_network_endpoint_group" "collector" {
  count = var.collector == null ? 0 : 1

  name                  = "${var.name}-collector"
  region                = var.region
  network_endpoint_type = "SERVERLESS"

  cloud_run {
    service = google_cloud_run_v2_service.collector[0].name
  }
}

resource "google_compute_backend_service" "collector" {
  count = var.collector == null ? 0 : 1

  name                  = "${var.name}-collector"
  protocol              = "HTTPS"
  load_balancing_scheme = "EXTERNAL_MANAGED"
  security_policy       = google_compute_security_policy.collector[0].id

  backend {
    group = google_compute_region_network_endpoint_group.collector[0].id
  }

  # Log lines contain users' addresses.
  log_config {
    enable = false
  }
}

resource "google_compute_security_policy" "collector" {
  #checkov:skip=CKV_GCP_73:Nothing behind it is Java, and an attack's text inside an event is data that has to be kept.
  count = var.collector == null ? 0 : 1

  name        = "${var.name}-collector"
  description = "Blocks the operators' paths for requests from the internet, and limits the request rate of each address."

  rule {
    action      = "deny(404)"
    priority    = 1000
    description = "Blocks metrics and health checks, which are requested from inside only."

    match {
      expr {
        expression = "request.path.matches('^/(metrics|readyz|healthz)/?$')"
      }
    }
  }

  # Servers send batches, and many users can share one address, so the limit is high.
  rule {
    action      = "throttle"
    priority    = 2000
    description = "Limits the requests per minute and address."

    match {
      versioned_expr = "SRC_IPS_V1"

      config {
        src_ip_ranges = ["*"]
      }
    }

    rate_limit_options {
      conform_action = "allow"
      exceed_action  = "deny(429)"
      enforce_on_key = "IP"

      rate_limit_threshold {
        count        = var.collector.requests_per_minute_and_address
        interval_sec = 60
      }
    }
  }

  rule {
    action      = "allow"
    priority    = 2147483647
    description = "Allows all other requests."

    match {
      versioned_expr = "SRC_IPS_V1"

      config {
        src_ip_ranges = ["*"]
      }
    }
  }
}

resource "google_compute_url_map" "collector" {
  count = var.collector == null ? 0 : 1

  name            = "${var.name}-collector"
  default_service = google_compute_backend_service.collector[0].id
}

resource "google_compute_managed_ssl_certificate" "collector" {
  count = var.collector == null ? 0 : 1

  name = "${var.name}-collector-${substr(sha256(var.collector.domain), 0, 8)}"

  managed {
    domains = [var.collector.domain]
  }

  lifecycle {
    # Another domain needs another certificate, and the proxy must always have one.
    create_before_destroy = true
  }
}

resource "google_compute_ssl_policy" "collector" {
  count = var.collector == null ? 0 : 1

  name            = "${var.name}-collector"
  profile         = "MODERN"
  min_tls_version = "TLS_1_2"
}

resource "google_compute_target_https_proxy" "collector" {
  count = var.collector == null ? 0 : 1

  name             = "${var.name}-collector"
  url_map          = google_compute_url_map.collector[0].id
  ssl_certificates = [google_compute_managed_ssl_certificate.collector[0].id]
  ssl_policy       = google_compute_ssl_policy.collector[0].id
}

resource "google_compute_global_address" "collector" {
  count = var.collector == null ? 0 : 1

  name = "${var.name}-collector"
}

resource "google_compute_global_forwarding_rule" "collector" {
  count = var.collector == null ? 0 : 1

  name                  = "${var.name}-collector"
  target                = google_compute_target_https_proxy.collector[0].id
  ip_address            = google_compute_global_address.collector[0].id
  port_range            = "443"
  load_balancing_scheme = "EXTERNAL_MANAGED"
}

resource "google_compute_network" "main" {
  name                    = var.name
  auto_create_subnetworks = false
  description             = "Dataflow workers and Redis; no machine here has a public address."

  depends_on = [google_project_service.main]
}

# The workers have no public addresses, and use Private Google Access for Pub/Sub, BigQuery and Cloud Storage. There is
# no NAT: the worker image contains everything, so the workers download nothing from the internet.
resource "google_compute_subnetwork" "workers" {
  name                     = "${var.name}-workers"
  network                  = google_compute_network.main.id
  region                   = var.region
  ip_cidr_range            = var.subnet_cidr
  private_ip_google_access = true

  log_config {
    aggregation_interval = "INTERVAL_10_MIN"
    flow_sampling        = 0.1
    metadata             = "INCLUDE_ALL_METADATA"
  }
}

# Workers of a job communicate on these two ports. The rule uses the service account and not a network tag, because
# anyone who may edit a machine can give it a tag.
resource "google_compute_firewall" "workers" {
  name                    = "${var.name}-workers"
  network                 = google_compute_network.main.id
  description             = "Shuffle and state traffic between the job's workers."
  direction               = "INGRESS"
  source_service_accounts = [google_service_account.worker.email]
  target_service_accounts = [google_service_account.worker.email]

  allow {
    protocol = "tcp"
    ports    = ["12345-12346"]
  }

  log_config {
    metadata = "EXCLUDE_ALL_METADATA"
  }
}

# Redis runs in a network of Google that is peered with this one; these addresses are reserved for it.
resource "google_compute_global_address" "services" {
  name          = "${var.name}-services"
  network       = google_compute_network.main.id
  purpose       = "VPC_PEERING"
  address_type  = "INTERNAL"
  prefix_length = 24
}

resource "google_service_networking_connection" "services" {
  network                 = google_compute_network.main.id
  service                 = "servicenetworking.googleapis.com"
  reserved_peering_ranges = [google_compute_global_address.services.name]

  # Google uses the peering for a while after Redis is deleted, so deleting it fails; it is deleted with the network.
  deletion_policy = "ABANDON"
}

resource "google_compute_network" "main" {
  name                    = var.name
  auto_create_subnetworks = false
  description             = "Dataflow workers and Redis; no machine here has a public address."

  depends_on = [google_project_service.main]
}

# Without public addresses, Private Google Access is the workers' way to Pub/Sub, BigQuery and Cloud Storage. There is
# no NAT: the worker image holds everything, so that nothing is fetched from the internet.
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

# Workers of a job talk to each other on these two ports. By account rather than by network tag, for anyone who may
# edit a machine can give it a tag.
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

# Redis lives in a network of Google's that is peered with this one; these addresses are set aside for it.
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

  # Google keeps it in use for a while after Redis is gone, so that deleting it fails; it goes with the network.
  deletion_policy = "ABANDON"
}

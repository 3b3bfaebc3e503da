# One service account for each program or role. Their grants are in permissions.tf.

resource "google_service_account" "worker" {
  account_id   = "${var.name}-worker"
  display_name = "Runs the job: launcher and workers"

  depends_on = [google_project_service.main]
}

resource "google_service_account" "collector" {
  account_id   = "${var.name}-collector"
  display_name = "Publishes events; nobody else but the canary may, for control messages travel there too"

  depends_on = [google_project_service.main]
}

resource "google_service_account" "deployer" {
  account_id   = "${var.name}-deployer"
  display_name = "Pushes images, writes template specs, launches and updates the job"

  depends_on = [google_project_service.main]
}

resource "google_service_account" "definitions_writer" {
  account_id   = "${var.name}-definitions"
  display_name = "Publishes the definitions of segments"

  depends_on = [google_project_service.main]
}

resource "google_service_account" "models_writer" {
  account_id   = "${var.name}-models"
  display_name = "Publishes trained models"

  depends_on = [google_project_service.main]
}

resource "google_service_account" "webhook" {
  account_id   = "${var.name}-webhook"
  display_name = "Signs the requests that tell the webhook of membership changes"

  depends_on = [google_project_service.main]
}

resource "google_service_account" "rates" {
  account_id   = "${var.name}-rates"
  display_name = "Compares rates in BigQuery every hour"

  depends_on = [google_project_service.main]
}

resource "google_service_account" "canary" {
  account_id   = "${var.name}-canary"
  display_name = "Checks the live system with a synthetic profile"

  depends_on = [google_project_service.main]
}

resource "google_artifact_registry_repository" "images" {
  #checkov:skip=CKV_GCP_84:Google's key encrypts it, as for the events topic in pubsub.tf.
  repository_id = var.name
  location      = var.region
  format        = "DOCKER"
  description   = "Images of the job and its template."

  # A pushed tag cannot be moved. Jobs refer to images by digest nevertheless.
  docker_config {
    immutable_tags = true
  }

  cleanup_policies {
    id     = "keep-recent"
    action = "KEEP"

    most_recent_versions {
      keep_count = 20
    }
  }

  cleanup_policies {
    id     = "delete-untagged"
    action = "DELETE"

    condition {
      tag_state  = "UNTAGGED"
      older_than = "${30 * 86400}s"
    }
  }

  depends_on = [google_project_service.main]
}

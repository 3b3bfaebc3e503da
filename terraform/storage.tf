locals {
  # The days after which objects are deleted; null: never. Old versions of objects are kept for half a year.
  buckets = {
    staging     = { delete_after_days = null, versioned = true }
    temp        = { delete_after_days = 7, versioned = false }
    definitions = { delete_after_days = null, versioned = true }
    models      = { delete_after_days = null, versioned = true }
  }
}

# The buckets: staging has template specs and files that a launch uploads, temp has Dataflow's temporary files,
# definitions has the definitions, and models has trained models. Each of the last two has a writer of its own, because
# its files decide the job's behaviour.
resource "google_storage_bucket" "main" {
  #checkov:skip=CKV_GCP_62:Cloud Audit Logs tell who read and wrote; access logs would add nothing but files.
  #checkov:skip=CKV_GCP_78:Every bucket has versions but temp, whose files nobody edits.
  for_each = local.buckets

  name                        = "${var.project_id}-${var.name}-${each.key}"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = !var.deletion_protection

  versioning {
    enabled = each.value.versioned
  }

  # Dataflow deletes its temporary files itself; keeping deleted files for a week would only cost money.
  soft_delete_policy {
    retention_duration_seconds = each.value.versioned ? 7 * 86400 : 0
  }

  lifecycle_rule {
    action {
      type = "AbortIncompleteMultipartUpload"
    }
    condition {
      age = 1
    }
  }

  dynamic "lifecycle_rule" {
    for_each = each.value.delete_after_days == null ? [] : [each.value.delete_after_days]

    content {
      action {
        type = "Delete"
      }
      condition {
        age = lifecycle_rule.value
      }
    }
  }

  dynamic "lifecycle_rule" {
    for_each = each.value.versioned ? [180] : []

    content {
      action {
        type = "Delete"
      }
      condition {
        days_since_noncurrent_time = lifecycle_rule.value
        num_newer_versions         = 3
      }
    }
  }

  depends_on = [google_project_service.main]
}

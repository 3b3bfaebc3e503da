locals {
  # Terraform's state contains both values anyway, in the Redis instance. The workers read them from these secrets, so
  # that neither is ever a flag.
  secrets = {
    redis-auth = google_redis_instance.main.auth_string
    # There are several while Google rotates its certificate authority; workers trust all of them.
    redis-ca = join("\n", [for certificate in google_redis_instance.main.server_ca_certs : certificate.cert])
  }
}

resource "google_secret_manager_secret" "main" {
  #checkov:skip=CKV_GCP_114:Google's key encrypts it, as for the events topic in pubsub.tf.
  for_each = toset(["redis-auth", "redis-ca"])

  secret_id           = "${var.name}-${each.key}"
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

resource "google_secret_manager_secret_version" "main" {
  for_each = google_secret_manager_secret.main

  secret      = each.value.id
  secret_data = local.secrets[each.key]

  lifecycle {
    # Workers with the old password read the secret again when Redis refuses it.
    create_before_destroy = true
  }
}

terraform {
  required_version = ">= 1.9, < 2.0"

  # Bucket and prefix come with `terraform init -backend-config=...`. The state holds Redis's password: keep the
  # bucket private and versioned.
  backend "gcs" {}

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "~> 6.50"
    }
    # For the Flex Template job and for service agents, which the provider google lacks.
    google-beta = {
      source  = "hashicorp/google-beta"
      version = "~> 6.50"
    }
  }
}

provider "google" {
  project        = var.project_id
  region         = var.region
  default_labels = { app = var.name }
}

provider "google-beta" {
  project        = var.project_id
  region         = var.region
  default_labels = { app = var.name }
}

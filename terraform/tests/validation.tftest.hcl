# What a typo would break is refused before anything is planned.

mock_provider "google" {}
mock_provider "google-beta" {}

variables {
  project_id  = "my-shop-prod"
  region      = "europe-west4"
  runbook_url = "https://shop.example/runbooks"
}

run "a_project_number" {
  command         = plan
  expect_failures = [var.project_id]

  variables {
    project_id = "123456789"
  }
}

run "a_zone" {
  command         = plan
  expect_failures = [var.region]

  variables {
    region = "europe-west4-a"
  }
}

run "a_long_name" {
  command         = plan
  expect_failures = [var.name]

  variables {
    name = "segments-of-the-whole-shop"
  }
}

run "a_small_subnet" {
  command         = plan
  expect_failures = [var.subnet_cidr]

  variables {
    subnet_cidr = "10.0.0.0/28"
  }
}

run "retention_and_expiry" {
  command = plan
  expect_failures = [
    var.event_retention_days,
    var.raw_events_expiration_days,
    var.history_expiration_days,
    var.dead_letter_expiration_days,
    var.redis_memory_gb,
  ]

  variables {
    event_retention_days        = 32
    raw_events_expiration_days  = 500
    history_expiration_days     = 1.5
    dead_letter_expiration_days = 0
    redis_memory_gb             = 0.5
  }
}

run "paths_and_addresses" {
  command         = plan
  expect_failures = [var.definitions_path, var.webhook, var.runbook_url, var.notification_channels]

  variables {
    definitions_path      = "gs://bucket/segments.yaml"
    webhook               = { endpoint = "http://crm.shop.example/hook" }
    runbook_url           = "https://shop.example/runbooks#top"
    notification_channels = ["me@shop.example"]
  }
}

run "everybody" {
  command         = plan
  expect_failures = [var.impersonators]

  variables {
    impersonators = { definitions_writer = ["allUsers"] }
  }
}

run "a_percentage" {
  command         = plan
  expect_failures = [var.alert_thresholds]

  variables {
    alert_thresholds = { redis_memory_ratio = 80 }
  }
}

run "an_image_by_its_tag" {
  command         = plan
  expect_failures = [var.job]

  variables {
    job = {
      template_path = "gs://bucket/live.json"
      image         = "europe-west4-docker.pkg.dev/my-shop-prod/segments/live-segments:latest"
    }
  }
}

run "a_canary_that_no_hour_divides_into" {
  command         = plan
  expect_failures = [var.canary]

  variables {
    canary = {
      image         = "europe-west4-docker.pkg.dev/my-shop-prod/segments/live-segments@sha256:0000000000000000000000000000000000000000000000000000000000000000"
      every_minutes = 7
    }
  }
}

run "a_canary_by_its_tag" {
  command         = plan
  expect_failures = [var.canary]

  variables {
    canary = { image = "europe-west4-docker.pkg.dev/my-shop-prod/segments/live-segments:latest" }
  }
}

run "fewer_workers_at_most_than_at_least" {
  command         = plan
  expect_failures = [var.workers]

  variables {
    workers = { min = 5, max = 4 }
  }
}

run "a_collector_by_its_tag_and_url" {
  command         = plan
  expect_failures = [var.collector]

  variables {
    collector = {
      image         = "europe-west4-docker.pkg.dev/my-shop-prod/segments/collector:latest"
      domain        = "https://events.shop.example"
      min_instances = 30
    }
  }
}

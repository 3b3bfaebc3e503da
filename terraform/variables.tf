variable "project_id" {
  description = "The ID of the Google Cloud project in which everything is created."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][-a-z0-9]{4,28}[a-z0-9]$", var.project_id))
    error_message = "Give the project's ID (6 to 30 lower-case letters, digits and hyphens), not its name or number."
  }
}

variable "region" {
  description = "The region of the job, Redis, buckets, images and the BigQuery dataset, such as europe-west4."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "Give a region such as europe-west4, not a zone such as europe-west4-a."
  }
}

variable "name" {
  description = "The prefix of all names, so that several installations can share a project."
  type        = string
  default     = "segments"
  nullable    = false

  validation {
    # A service account's ID has at most 30 characters, and the longest suffix here is -definitions.
    condition     = can(regex("^[a-z][a-z0-9]*(-[a-z0-9]+)*$", var.name)) && length(var.name) <= 18
    error_message = "Give at most 18 lower-case letters and digits, with single hyphens between, a letter first."
  }
}

variable "deletion_protection" {
  description = "Protects tables, secrets and non-empty buckets from being destroyed. Set it to false only to destroy an installation."
  type        = bool
  default     = true
  nullable    = false
}

variable "subnet_cidr" {
  description = "The workers' address range. A worker needs one address; a /24 is enough for two jobs at the same time."
  type        = string
  default     = "10.10.0.0/24"
  nullable    = false

  validation {
    condition     = can(cidrhost(var.subnet_cidr, 0)) && can(regex("/(1[6-9]|2[0-6])$", var.subnet_cidr))
    error_message = "Give a range such as 10.10.0.0/24, between /16 and /26."
  }
}

variable "event_retention_days" {
  description = "For how many days Pub/Sub keeps events: the longest outage of the job without loss, and the furthest point that a seek can go back to."
  type        = number
  default     = 7
  nullable    = false

  validation {
    condition     = var.event_retention_days >= 1 && var.event_retention_days <= 31 && floor(var.event_retention_days) == var.event_retention_days
    error_message = "Give 1 to 31 whole days."
  }
}

variable "raw_events_expiration_days" {
  description = "After how many days raw events are deleted, by the hour. A backfill cannot read earlier events."
  type        = number
  default     = 400
  nullable    = false

  validation {
    # A table has at most 10,000 partitions, here of one hour each.
    condition     = var.raw_events_expiration_days >= 15 && var.raw_events_expiration_days <= 410 && floor(var.raw_events_expiration_days) == var.raw_events_expiration_days
    error_message = "Give 15 to 410 whole days: the check of event rates reads the last week, and a table has at most 10,000 partitions."
  }
}

variable "history_expiration_days" {
  description = "After how many days membership changes are deleted, by event time; null: never. A stay whose entry is deleted has no interval in the view."
  type        = number
  default     = 1100

  validation {
    condition     = var.history_expiration_days == null ? true : var.history_expiration_days >= 15 && floor(var.history_expiration_days) == var.history_expiration_days
    error_message = "Give 15 or more whole days, or null."
  }
}

variable "dead_letter_expiration_days" {
  description = "After how many days dead letters, which contain whole inputs, are deleted from BigQuery."
  type        = number
  default     = 90
  nullable    = false

  validation {
    condition     = var.dead_letter_expiration_days >= 1 && floor(var.dead_letter_expiration_days) == var.dead_letter_expiration_days
    error_message = "Give 1 or more whole days."
  }
}

variable "redis_memory_gb" {
  description = "Redis's memory in GiB. Use twice the size of the profiles: a snapshot to disk copies data that changes during the snapshot."
  type        = number
  default     = 5
  nullable    = false

  validation {
    condition     = var.redis_memory_gb >= 1 && var.redis_memory_gb <= 300 && floor(var.redis_memory_gb) == var.redis_memory_gb
    error_message = "Give 1 to 300 whole GiB."
  }
}

variable "definitions_path" {
  description = "The path of the definitions file in the definitions bucket."
  type        = string
  default     = "segments.yaml"
  nullable    = false

  validation {
    condition     = can(regex("^[^/:]+(/[^/:]+)*\\.ya?ml$", var.definitions_path))
    error_message = "Give a path in the bucket that ends in .yaml or .yml, without gs:// and a leading slash."
  }
}

variable "webhook" {
  description = "Pushes membership changes to an https endpoint: its URL, the audience of the token in each request (default: the endpoint), and a Pub/Sub filter; null: no push."
  type = object({
    endpoint = string
    audience = optional(string)
    filter   = optional(string, "")
  })
  default = null

  validation {
    condition     = var.webhook == null ? true : startswith(var.webhook.endpoint, "https://")
    error_message = "The endpoint must begin with https://, because each request contains a token."
  }

  validation {
    # Pub/Sub accepts 256 bytes, and the condition that excludes the canary comes first.
    condition     = var.webhook == null ? true : length(var.webhook.filter) <= 190
    error_message = "The filter may have at most 190 characters."
  }
}

variable "impersonators" {
  description = "Who may impersonate each service account, as IAM members; for example, the delivery pipeline's identity impersonates deployer."
  type = object({
    deployer           = optional(set(string), [])
    definitions_writer = optional(set(string), [])
    models_writer      = optional(set(string), [])
  })
  default  = {}
  nullable = false

  validation {
    condition = alltrue([
      for member in flatten([for members in values(var.impersonators) : tolist(members)]) :
      can(regex("^(user|group|serviceAccount|principal|principalSet):.+", member))
    ])
    error_message = "Give members such as group:data@example.com or principalSet://iam.googleapis.com/...; not allUsers."
  }
}

variable "notification_channels" {
  description = "The notification channels of alerts, projects/P/notificationChannels/N."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for channel in var.notification_channels : can(regex("^projects/[^/]+/notificationChannels/[^/]+$", channel))])
    error_message = "Give names such as projects/my-project/notificationChannels/123."
  }
}

variable "runbook_url" {
  description = "The URL of the page of runbooks, without an anchor; each alert links to its own heading on that page."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^https://[^#]+$", var.runbook_url))
    error_message = "Give an address that begins with https:// and has no #."
  }
}

variable "alert_thresholds" {
  description = "The values above which alerts fire. The defaults suit a shop whose offers react within one minute."
  type = object({
    data_freshness_seconds  = optional(number, 300)
    event_to_redis_seconds  = optional(number, 30)
    exit_lag_seconds        = optional(number, 60)
    backlog_age_seconds     = optional(number, 300)
    dead_letter_ratio       = optional(number, 0.01)
    stale_write_ratio       = optional(number, 0.05)
    redis_memory_ratio      = optional(number, 0.8)
    collapsed_rate_ratio    = optional(number, 0.2)
    collapsed_rate_at_least = optional(number, 100)
  })
  default  = {}
  nullable = false

  validation {
    condition = alltrue([
      for name, value in var.alert_thresholds : value > 0 && (endswith(name, "_ratio") ? value < 1 : true)
    ])
    error_message = "Thresholds must be greater than 0, and those that end in _ratio less than 1."
  }
}

variable "canary" {
  description = "Runs the canary with the job's image, given by digest, every so many minutes; null: no canary. The definitions must contain its segment: docs/canary.md."
  type = object({
    image         = string
    every_minutes = optional(number, 5)
  })
  default = null

  validation {
    condition     = var.canary == null ? true : can(regex("@sha256:[0-9a-f]{64}$", var.canary.image))
    error_message = "Give the image with its digest, ...@sha256:..."
  }

  validation {
    condition     = var.canary == null ? true : contains([1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30], var.canary.every_minutes)
    error_message = "Give a number of minutes that divides an hour: 1, 2, 3, 4, 5, 6, 10, 12, 15, 20 or 30."
  }
}

variable "job_flags" {
  description = "Optional flags of the job; templates/metadata.json describes them."
  type = object({
    history_method   = optional(string, "STREAMING_INSERTS")
    ignored_ids      = optional(string)
    profile_ttl      = optional(string, "400d")
    idle_ttl         = optional(string, "7d")
    redis_key_prefix = optional(string, "segments:")
    tracking_plan    = optional(string)
  })
  default  = {}
  nullable = false

  validation {
    condition     = contains(["STREAMING_INSERTS", "STORAGE_WRITE_API"], var.job_flags.history_method) && alltrue([for ttl in [var.job_flags.profile_ttl, var.job_flags.idle_ttl] : can(regex("^([0-9]+[dhms]){1,4}$", ttl))]) && can(regex("^\\S+$", var.job_flags.redis_key_prefix)) && alltrue([for path in [var.job_flags.tracking_plan, var.job_flags.ignored_ids] : path == null || can(regex("^gs://[a-z0-9][-a-z0-9._]{1,220}[a-z0-9]/.+$", path))])
    error_message = "Give STREAMING_INSERTS or STORAGE_WRITE_API, durations such as 400d, a prefix without spaces, and a folder or a file as gs://BUCKET/PATH."
  }
}

variable "workers" {
  description = "The job's workers: the machine type, and the minimum and maximum number. The maximum limits the cost of a flood of events."
  type = object({
    machine_type = optional(string, "n2-standard-2")
    min          = optional(number, 1)
    max          = optional(number, 10)
  })
  default  = {}
  nullable = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9]*-[a-z0-9-]+$", var.workers.machine_type))
    error_message = "Give a machine type such as n2-standard-2."
  }

  validation {
    condition     = var.workers.min >= 1 && var.workers.min <= var.workers.max && floor(var.workers.min) == var.workers.min && floor(var.workers.max) == var.workers.max
    error_message = "Give whole numbers, with min at least 1 and max at least min."
  }
}

variable "job" {
  description = "Makes Terraform launch the job, from a template's spec and its image; null: the delivery pipeline launches it."
  type = object({
    template_path = string
    image         = string
  })
  default = null

  validation {
    condition     = var.job == null ? true : can(regex("^gs://.+\\.json$", var.job.template_path)) && can(regex("@sha256:[0-9a-f]{64}$", var.job.image))
    error_message = "Give the spec as gs://BUCKET/PATH.json, and the image with its digest, ...@sha256:..."
  }
}

variable "collector" {
  description = "Makes Terraform run the collector's image behind a load balancer. The domain's DNS must point to the address in the output collector; null: no collector. First add the settings to their secret."
  type = object({
    image                           = string
    domain                          = string
    min_instances                   = optional(number, 1)
    max_instances                   = optional(number, 20)
    requests_per_minute_and_address = optional(number, 6000)
  })
  default = null

  validation {
    condition     = var.collector == null ? true : can(regex("@sha256:[0-9a-f]{64}$", var.collector.image))
    error_message = "Give the image with its digest, ...@sha256:..."
  }

  validation {
    condition     = var.collector == null ? true : can(regex("^([a-z0-9]([-a-z0-9]*[a-z0-9])?\\.)+[a-z]{2,}$", var.collector.domain))
    error_message = "Give a domain such as events.shop.example, without https:// and a path."
  }

  validation {
    condition     = var.collector == null ? true : var.collector.min_instances >= 0 && var.collector.min_instances <= var.collector.max_instances && var.collector.max_instances >= 1
    error_message = "Give min_instances of at least 0, and max_instances of at least 1 and at least min_instances."
  }
}

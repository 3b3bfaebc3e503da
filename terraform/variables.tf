variable "project_id" {
  description = "The Google Cloud project that everything is created in."
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
  description = "Begins the name of everything, so that several installations can share a project."
  type        = string
  default     = "segments"
  nullable    = false

  validation {
    # An account's ID has 6 to 30 characters, and the longest ending here is -definitions.
    condition     = can(regex("^[a-z][a-z0-9]*(-[a-z0-9]+)*$", var.name)) && length(var.name) <= 18
    error_message = "Give at most 18 lower-case letters and digits, with single hyphens between, a letter first."
  }
}

variable "deletion_protection" {
  description = "Keeps tables, secrets and full buckets from being destroyed. Turn it off only to take an installation down."
  type        = bool
  default     = true
  nullable    = false
}

variable "subnet_cidr" {
  description = "The workers' addresses. A worker takes one; a /24 leaves room for two jobs side by side."
  type        = string
  default     = "10.10.0.0/24"
  nullable    = false

  validation {
    condition     = can(cidrhost(var.subnet_cidr, 0)) && can(regex("/(1[6-9]|2[0-6])$", var.subnet_cidr))
    error_message = "Give a range such as 10.10.0.0/24, between /16 and /26."
  }
}

variable "event_retention_days" {
  description = "For how long Pub/Sub keeps events: what a job that is down does not lose, and how far a replay reaches."
  type        = number
  default     = 7
  nullable    = false

  validation {
    condition     = var.event_retention_days >= 1 && var.event_retention_days <= 31 && floor(var.event_retention_days) == var.event_retention_days
    error_message = "Give 1 to 31 whole days."
  }
}

variable "raw_events_expiration_days" {
  description = "After how many days an hour of raw events is deleted. A backfill reaches no further back."
  type        = number
  default     = 400
  nullable    = false

  validation {
    # 10,000 partitions of an hour are as many as a table has.
    condition     = var.raw_events_expiration_days >= 15 && var.raw_events_expiration_days <= 410 && floor(var.raw_events_expiration_days) == var.raw_events_expiration_days
    error_message = "Give 15 to 410 whole days: the watch over rates looks back a week, and a table has 10,000 partitions."
  }
}

variable "history_expiration_days" {
  description = "After how many days, by event time, a day of membership changes is deleted; null: never. A stay that began before shows no interval any more."
  type        = number
  default     = 1100

  validation {
    condition     = var.history_expiration_days == null ? true : var.history_expiration_days >= 15 && floor(var.history_expiration_days) == var.history_expiration_days
    error_message = "Give 15 or more whole days, or null."
  }
}

variable "dead_letter_expiration_days" {
  description = "After how many days a day of dead letters is deleted from BigQuery; they hold whole inputs."
  type        = number
  default     = 90
  nullable    = false

  validation {
    condition     = var.dead_letter_expiration_days >= 1 && floor(var.dead_letter_expiration_days) == var.dead_letter_expiration_days
    error_message = "Give 1 or more whole days."
  }
}

variable "redis_memory_gb" {
  description = "Redis's memory in GiB. Plan for twice of what the profiles take: a snapshot to disk copies what changes meanwhile."
  type        = number
  default     = 5
  nullable    = false

  validation {
    condition     = var.redis_memory_gb >= 1 && var.redis_memory_gb <= 300 && floor(var.redis_memory_gb) == var.redis_memory_gb
    error_message = "Give 1 to 300 whole GiB."
  }
}

variable "definitions_path" {
  description = "Where in the definitions bucket the file of segments is."
  type        = string
  default     = "segments.yaml"
  nullable    = false

  validation {
    condition     = can(regex("^[^/:]+(/[^/:]+)*\\.ya?ml$", var.definitions_path))
    error_message = "Give a path inside the bucket, without gs:// and a leading slash, that ends in .yaml."
  }
}

variable "webhook" {
  description = "Where membership changes are pushed to: an https endpoint, and the audience of the token that comes with each request (by default the endpoint); null: nowhere."
  type = object({
    endpoint = string
    audience = optional(string)
    filter   = optional(string, "")
  })
  default = null

  validation {
    condition     = var.webhook == null ? true : startswith(var.webhook.endpoint, "https://")
    error_message = "The endpoint must begin with https://: a token travels with each request."
  }

  validation {
    # Pub/Sub takes 256 bytes, and what leaves out the canary stands before it.
    condition     = var.webhook == null ? true : length(var.webhook.filter) <= 190
    error_message = "The filter may have 190 characters."
  }
}

variable "impersonators" {
  description = "Who may act as a service account, such as the delivery pipeline's identity as deployer. Members, as IAM writes them, by account."
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
  description = "Who is told of an alert: names of monitoring channels, projects/P/notificationChannels/N."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for channel in var.notification_channels : can(regex("^projects/[^/]+/notificationChannels/[^/]+$", channel))])
    error_message = "Give names such as projects/my-project/notificationChannels/123."
  }
}

variable "runbook_url" {
  description = "The page that holds the runbooks, without an anchor: each alert links to its own heading there."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^https://[^#]+$", var.runbook_url))
    error_message = "Give an address that begins with https:// and has no #."
  }
}

variable "alert_thresholds" {
  description = "Where alerts begin. The defaults suit a shop whose offers react within a minute."
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
    error_message = "Thresholds are greater than 0, and those that end in _ratio less than 1."
  }
}

variable "canary" {
  description = "Runs the canary: with which image, by its digest (the one that the job runs with), and every how many minutes; null: not at all. Its segment must stand in the definitions: docs/canary.md."
  type = object({
    image         = string
    every_minutes = optional(number, 5)
  })
  default = null

  validation {
    condition     = var.canary == null ? true : can(regex("@sha256:[0-9a-f]{64}$", var.canary.image))
    error_message = "Give the image by its digest, ...@sha256:..., as it was built."
  }

  validation {
    condition     = var.canary == null ? true : contains([1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30], var.canary.every_minutes)
    error_message = "Give minutes that divide the hour: 1, 2, 3, 4, 5, 6, 10, 12, 15, 20 or 30."
  }
}

variable "job_flags" {
  description = "Flags of the job that have defaults of their own; templates/metadata.json says what each is for."
  type = object({
    history_method   = optional(string, "STREAMING_INSERTS")
    profile_ttl      = optional(string, "400d")
    redis_key_prefix = optional(string, "segments:")
    tracking_plan    = optional(string)
  })
  default  = {}
  nullable = false

  validation {
    condition     = contains(["STREAMING_INSERTS", "STORAGE_WRITE_API"], var.job_flags.history_method) && can(regex("^([0-9]+[dhms]){1,4}$", var.job_flags.profile_ttl)) && can(regex("^\\S+$", var.job_flags.redis_key_prefix)) && (var.job_flags.tracking_plan == null || can(regex("^gs://[a-z0-9][-a-z0-9._]{1,220}[a-z0-9]/.+$", var.job_flags.tracking_plan)))
    error_message = "Give STREAMING_INSERTS or STORAGE_WRITE_API, a duration such as 400d, a prefix without spaces, and a folder gs://BUCKET/PATH."
  }
}

variable "workers" {
  description = "The job's workers: their machines, and the fewest and the most of them. The most is what a flood of events can cost."
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
    error_message = "Give whole numbers, at least one worker, and no fewer at most than at least."
  }
}

variable "job" {
  description = "Makes Terraform launch the job itself, from a template's spec and its image; null: the delivery pipeline does."
  type = object({
    template_path = string
    image         = string
  })
  default = null

  validation {
    condition     = var.job == null ? true : can(regex("^gs://.+\\.json$", var.job.template_path)) && can(regex("@sha256:[0-9a-f]{64}$", var.job.image))
    error_message = "Give the spec as gs://BUCKET/PATH.json, and the image by its digest, ...@sha256:..., as both were built."
  }
}

variable "collector" {
  description = "Makes Terraform run the collector, by its image, behind a load balancer under a domain whose DNS leads to the output collector; null: events come another way. Its settings must be in their secret before."
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
    error_message = "Give the image by its digest, ...@sha256:..., as it was built."
  }

  validation {
    condition     = var.collector == null ? true : can(regex("^([a-z0-9]([-a-z0-9]*[a-z0-9])?\\.)+[a-z]{2,}$", var.collector.domain))
    error_message = "Give a domain such as events.shop.example, without https:// and a path."
  }

  validation {
    condition     = var.collector == null ? true : var.collector.min_instances >= 0 && var.collector.min_instances <= var.collector.max_instances && var.collector.max_instances >= 1
    error_message = "Give at least one instance at most, and no fewer at most than at least."
  }
}

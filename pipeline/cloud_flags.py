"""What a run needs of Google Cloud, asked for before anything starts: Beam would ask late, or help itself."""

import re

import google.auth
from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions
from google.auth.exceptions import GoogleAuthError

_LOCATION = re.compile(r"gs://[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]/.+")


class CloudFlagsError(ValueError):
    """A flag is missing, or this machine may not use Google Cloud; the message says what to do."""


def check_credentials() -> None:
    """Looks for Google credentials, which a local run into BigQuery uses; Beam would open a browser for some.

    Raises:
      CloudFlagsError: this machine has none.
    """
    try:
        google.auth.default()
    except GoogleAuthError as error:
        raise CloudFlagsError(f"--history_table needs Google credentials: {error}") from None


def check_locations(options: PipelineOptions) -> None:
    """Asks for a place on gs://, which a Dataflow job needs; Beam would make a bucket of its own.

    Raises:
      CloudFlagsError: there is none.
    """
    cloud = options.view_as(GoogleCloudOptions)
    locations = {flag: getattr(cloud, flag) for flag in ("temp_location", "staging_location")}
    for flag, location in locations.items():
        if location and _LOCATION.fullmatch(location) is None:
            raise CloudFlagsError(f"--{flag} must look like gs://BUCKET/FOLDER, got {location}")
    if not any(locations.values()):
        raise CloudFlagsError("a Dataflow job needs --temp_location=gs://BUCKET/FOLDER")

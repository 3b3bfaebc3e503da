"""Checks what a run needs from Google Cloud before it starts.

Beam would check it late, or would download a file or create a bucket without asking.
"""

import os
import re
import shutil

import google.auth
from apache_beam.options.pipeline_options import CrossLanguageOptions, GoogleCloudOptions, PipelineOptions
from apache_beam.utils.subprocess_server import JavaHelper, JavaJarServer, is_service_endpoint
from google.auth.exceptions import GoogleAuthError

STORAGE_WRITE_TARGET = "sdks:java:io:google-cloud-platform:expansion-service:build"
"""Beam's name for the expansion service of its Java steps for Google Cloud; a key of --beam_services."""
_LOCATION = re.compile(r"gs://[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]/.+")


class CloudFlagsError(ValueError):
    """A flag is missing or wrong, or this machine cannot use Google Cloud. The message contains the fix."""


def check_credentials() -> None:
    """Checks that this machine has Google credentials, which a local run needs to write to BigQuery.

    Without this check, Beam would open a browser to get credentials.

    Raises:
      CloudFlagsError: this machine has no credentials.
    """
    try:
        google.auth.default()
    except GoogleAuthError as error:
        raise CloudFlagsError(f"--history_table needs Google credentials: {error}") from None


def check_locations(options: PipelineOptions) -> None:
    """Checks that the flags name a folder on gs://, which a Dataflow job needs.

    Without this check, Beam would create a bucket.

    Raises:
      CloudFlagsError: no flag names a folder, or one is malformed.
    """
    cloud = options.view_as(GoogleCloudOptions)
    locations = {flag: getattr(cloud, flag) for flag in ("temp_location", "staging_location")}
    for flag, location in locations.items():
        if location and _LOCATION.fullmatch(location) is None:
            raise CloudFlagsError(f"--{flag} must look like gs://BUCKET/FOLDER, got {location}")
    if not any(locations.values()):
        raise CloudFlagsError("a Dataflow job needs --temp_location=gs://BUCKET/FOLDER")


def storage_write_service(options: PipelineOptions) -> str:
    """Returns the expansion service of the Storage Write API's Java step: HOST:PORT, or a jar on this machine.

    Beam on its own would download the jar from the internet.

    Raises:
      CloudFlagsError: the jar does not exist, or Java is not installed.
    """
    services = options.view_as(CrossLanguageOptions).beam_services or {}
    given = services.get(STORAGE_WRITE_TARGET)
    if given and is_service_endpoint(given):
        return str(given)
    name = os.path.basename(JavaJarServer.path_to_beam_jar(STORAGE_WRITE_TARGET))
    jar = given or os.path.join(JavaJarServer.JAR_CACHE, name)
    missing = []
    if not os.path.isfile(jar):
        missing.append(f"the file {jar}, which is {name} from Maven Central")
    if shutil.which(JavaHelper.get_java()) is None:
        missing.append("Java 11 or later, on the PATH or in $JAVA_HOME")
    if missing:
        raise CloudFlagsError(f"--history_method=STORAGE_WRITE_API needs {' and '.join(missing)}")
    return jar

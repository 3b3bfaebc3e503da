"""What a run needs of Google Cloud, asked for before anything starts: Beam would ask late, or help itself."""

import os
import re
import shutil

import google.auth
from apache_beam.options.pipeline_options import CrossLanguageOptions, GoogleCloudOptions, PipelineOptions
from apache_beam.utils.subprocess_server import JavaHelper, JavaJarServer, is_service_endpoint
from google.auth.exceptions import GoogleAuthError

STORAGE_WRITE_TARGET = "sdks:java:io:google-cloud-platform:expansion-service:build"
"""Beam's name for the program that knows its Java steps for Google Cloud; a key of --beam_services."""
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


def storage_write_service(options: PipelineOptions) -> str:
    """Returns where the Storage Write API's Java step is described: HOST:PORT, or a jar on this machine.

    Beam itself would look for the jar on the internet.

    Raises:
      CloudFlagsError: there is no such jar, or no Java to run it.
    """
    services = options.view_as(CrossLanguageOptions).beam_services or {}
    given = services.get(STORAGE_WRITE_TARGET)
    if given and is_service_endpoint(given):
        return str(given)
    name = os.path.basename(JavaJarServer.path_to_beam_jar(STORAGE_WRITE_TARGET))
    jar = given or os.path.join(JavaJarServer.JAR_CACHE, name)
    lacking = []
    if not os.path.isfile(jar):
        lacking.append(f"the file {jar}, which is {name} from Maven Central")
    if shutil.which(JavaHelper.get_java()) is None:
        lacking.append("Java 11 or later, on the PATH or in $JAVA_HOME")
    if lacking:
        raise CloudFlagsError(f"--history_method=STORAGE_WRITE_API needs {' and '.join(lacking)}")
    return jar

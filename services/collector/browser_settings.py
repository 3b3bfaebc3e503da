"""The settings that browser SDKs load before they send. They name no destination, so SDKs call no other server."""

from typing import Any
from urllib.parse import urlsplit

from services.collector.settings import Source

_NEVER_UPDATED = "2026-01-01T00:00:00.000Z"


def segment_settings(source: Source, public_url: str) -> dict[str, Any]:
    """Returns the settings that analytics.js loads from /v1/projects/KEY/settings.

    Args:
      source: the page's source.
      public_url: the collector's URL for browsers, such as https://events.shop.example.
    """
    url = urlsplit(public_url)
    return {
        "integrations": {
            "Segment.io": {
                "apiKey": source.write_key,
                "apiHost": f"{url.netloc}{url.path.rstrip('/')}/v1",
                "protocol": url.scheme,
                "unbundledIntegrations": [],
                "addBundledMetadata": False,
                "maybeBundledConfigIds": {},
                "versionSettings": {"version": "4.4.7", "componentTypes": ["browser"]},
            }
        },
        "plan": {"track": {"__default": {"enabled": True, "integrations": {}}}},
        "edgeFunction": {},
        "analyticsNextEnabled": True,
        "middlewareSettings": {},
        "enabledMiddleware": {},
        "metrics": {"sampleRate": 0},  # it would send figures about itself to Segment
        "legacyVideoPluginsEnabled": False,
        "remotePlugins": [],
    }


def rudderstack_source_config(source: Source) -> dict[str, Any]:
    """Returns the settings that RudderStack's JavaScript SDK loads from /sourceConfig/."""
    return {
        "source": {
            "id": source.name,
            "name": source.name,
            "writeKey": source.write_key,
            "workspaceId": "live-segments",
            "enabled": source.enabled,
            "deleted": False,
            "transient": False,
            "config": {
                # it would send figures and errors about itself to RudderStack
                "statsCollection": {"errors": {"enabled": False}, "metrics": {"enabled": False}}
            },
            "destinations": [],
            "connections": [],
            "dataplanes": {},
            "sourceDefinition": {"name": "Javascript", "displayName": "Javascript", "category": None},
            "liveEventsConfig": {"eventUpload": False, "eventUploadTS": 0},
            "createdAt": _NEVER_UPDATED,
            "updatedAt": _NEVER_UPDATED,
        },
        "updatedAt": _NEVER_UPDATED,
    }

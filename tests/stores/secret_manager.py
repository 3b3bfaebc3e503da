"""A Secret Manager in this process: the library's own client, over a transport without a network."""

from google.api_core import exceptions
from google.api_core.gapic_v1.method import wrap_method
from google.auth.credentials import AnonymousCredentials
from google.cloud.secretmanager import AccessSecretVersionResponse, SecretManagerServiceClient, SecretPayload
from google.cloud.secretmanager_v1.services.secret_manager_service.transports import (
    SecretManagerServiceTransport,
)

PASSWORD_SECRET = "projects/shop/secrets/redis/versions/latest"
CA_SECRET = "projects/shop/secrets/redis-ca/versions/latest"


class FakeSecretManager(SecretManagerServiceTransport):
    """Answers from a dict from a secret's name to its value, or to the error of reading it."""

    def __init__(self):
        super().__init__(credentials=AnonymousCredentials())
        self.held = {}
        self.reads = []
        self._wrapped_methods = {self.access_secret_version: wrap_method(self.access_secret_version)}

    def make_client(self):
        return SecretManagerServiceClient(transport=self)

    @property
    def access_secret_version(self):
        return self._access

    def _access(self, request, **_):
        self.reads.append(request.name)
        held = self.held.get(request.name, exceptions.NotFound("no such version"))
        if isinstance(held, Exception):
            raise held
        return AccessSecretVersionResponse(name=request.name, payload=SecretPayload(data=held))


shared = FakeSecretManager()
"""The one that a step finds by name, after it has been pickled."""


def make_shared_client():
    return shared.make_client()
